"""Rows of text, with or without labels, of a file in any format."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import count, repeat
from typing import Any, NamedTuple, TypeVar

from textrnn.config import DataConfig, as_list
from textrnn.data.arrow.json_lines import ParsedLines, split_lines
from textrnn.data.reading.detection import EmptyFileError, find_layout, is_preamble
from textrnn.data.reading.io import BYTE_ORDER_MARK, Note, decode, is_utf8
from textrnn.data.reading.layout import BY_EXTENSION, SEARCHED_LINES, TEXT, find_suffix, fold, name_delimiter
from textrnn.data.reading.records.fields import (
    RawRecord,
    RecordFields,
    parse_object,
    split_fasttext,
    split_fasttext_lines,
)
from textrnn.data.reading.records.selection import Distribution, FaultError, Selection
from textrnn.data.reading.records.spanning_records import read_csv, read_json
from textrnn.errors import DataError, has_rows, name_file, pluralize

T = TypeVar("T")
InBulk = Callable[[int, Sequence[bytes], Sequence[Sequence[bytes]]], T | None]

_NO_LABELS: list[str] = []
_SHOWN = 3  # skipped records in a note
_MAX_ROWS = 4096  # in a list of rows
_NOT_TEXT = "bytes that are not valid in the encoding; if the file has another one, use --set data.encoding=NAME"
_NOT_UTF8 = "bytes that are not UTF-8; write the column again, or skip such rows with --set data.on_error=skip"
_DEFAULT = DataConfig()


class Row(NamedTuple):
    """A record: the line where it starts, its ``raw`` bytes, and what is read of it.

    ``raw`` has no final newline, but the ``\\r`` before it; objects of a JSON array are one line each. Line ends inside
    the text (CSV, JSON) are spaces. ``names`` are the keys of a JSON object. ``is_valid`` is False for a bad record
    that is read as an empty text.
    """

    number: int
    raw: bytes
    text: str
    labels: list[str]
    group: str = ""
    distribution: Distribution | None = None
    weight: float = 1.0
    names: Collection[str] = ()
    is_valid: bool = True


class RowReader:
    """Reads the rows of one file, given its ``chunks`` (see :func:`textrnn.data.reading.io.read_chunks`).

    Iteration yields lists of rows: all of a chunk, without waiting for more input. Blank lines are skipped, except by
    tables of one column without labels. So is a header that is repeated between rows, as in files that were joined.
    Without ``labelled`` only the text is read, and bytes that are not UTF-8 become U+FFFD instead of a fault.
    ``note`` gets lines for the user about what was detected and left out, after the last row. ``on_fault`` gets the
    faults that ``data.on_error`` does not settle; ``rejects`` the header and the lines of the records it skips.

    Raises:
        DataError, ConfigError: see :func:`find_layout`; and in the iteration the first fault that is not skipped, after
            all earlier rows, or that no labelled record is left.
    """

    def __init__(
        self,
        path: str,
        chunks: Iterable[bytes],
        config: DataConfig = _DEFAULT,
        *,
        labelled: bool = True,
        note: Note | None = None,
        on_fault: Callable[[DataError], None] | None = None,
        rejects: Callable[[bytes], object] | None = None,
    ) -> None:
        self._path, self._chunks, self.config = path, iter(chunks), config
        self._labelled, self._on_fault, self._rejects = labelled, on_fault, rejects
        self._note = note or (lambda _: None)
        self._has_rows = has_rows(path)
        self._head: list[bytes] = []  # of rows: the first chunk
        enough, records = SEARCHED_LINES if labelled else 1, 0  # without labels, a header is answered at once
        for chunk in self._chunks:
            lines = split_lines(chunk)
            self._has_rows = self._has_rows or isinstance(lines, ParsedLines)
            self._head = self._head + lines if self._head else lines
            records += sum(not is_preamble(decode(line)) for line in lines)
            if records >= enough:
                break
        self.layout = layout = find_layout(path, [decode(line) for line in self._head], config, labelled=labelled)
        self._is_parsed = False  # the records were parsed from text that is valid
        self._repeated_headers = self._empty_texts = self._skipped = self._distributions = 0
        self._weights = (math.inf, -math.inf)  # the lowest and the highest
        self._first_skipped: list[str] = []
        before = [line.removesuffix(b"\r") for line in self._head[: layout.header_start] if line.strip()]
        self._preamble = before[0].removeprefix(BYTE_ORDER_MARK) if before else None  # the line sep=; of Excel
        names = list(map(fold, layout.header or ()))
        self._header = names[1:] if layout.has_row_names else names
        self._fields = RecordFields(layout, config, labelled=labelled)

    @property
    def header(self) -> bytes | None:
        """The bytes of the header, None without one; all columns have a name, if only an empty one."""
        layout = self.layout
        if layout.header is None:
            return None
        header = b"\n".join(self._head[layout.header_start : layout.start]).removeprefix(BYTE_ORDER_MARK)
        return b'""' + layout.delimiter.encode() + header if layout.has_row_names else header

    def __iter__(self) -> Iterator[list[Row]]:
        kind, is_plain = self.layout.kind, len(as_list(self.config.text) or [TEXT]) == 1 and not self._labelled
        makers = {"table": self._make_rows, "json": self._make_parsed_rows}
        return self.read(list, in_bulk=makers.get(kind) if is_plain else None)

    def read(self, make: Callable[[list[Row]], T], *, in_bulk: InBulk[T] | None = None) -> Iterator[T]:
        """Yield what ``make`` makes of each list of rows, or ``in_bulk`` of lines with plain fields.

        ``in_bulk`` gets the number of the first line, the lines and their fields: those of a table, or label and text
        in fastText's format. It may return None for lines that must be parsed one by one.
        """
        is_empty = self._labelled
        for each in self._read(make, in_bulk):
            is_empty = False
            yield each
        if is_empty:
            faults = [f"all records are bad; {fault}" for fault in self._first_skipped[:1]]
            raise EmptyFileError(self._path, None, *(faults or ["contains no labelled text"]))
        for line in self._list_notes():
            self._note(f"{name_file(self._path)}: {line}")

    def _read(self, make: Callable[[list[Row]], T], in_bulk: InBulk[T] | None) -> Iterator[T]:
        layout, chunks = self.layout, self._list_chunks()
        if layout.is_array:
            whole = (line for lines, _ in chunks for line in lines)
            yield from map(make, self._collect(read_json(self._path, whole, layout.start + 1)))
        elif layout.is_quoted:
            yield from map(make, self._collect(read_csv(chunks, layout.delimiter)))
        else:
            for lines, number in chunks:
                fields = None if in_bulk is None else self._split_plain(lines)
                each = None if in_bulk is None or fields is None else in_bulk(number, lines, fields)
                if each is None:
                    yield from map(make, self._collect(self._read_lines(lines, number)))
                else:
                    yield each

    def _list_chunks(self) -> Iterator[tuple[list[bytes], int]]:
        """Yield the lines of each chunk after the header, and the number of the first of them in the file."""
        start = self.layout.start
        lines, number = self._head[start:] if start else self._head, start + 1
        yield lines, number
        for chunk in self._chunks:
            number += len(lines)
            lines = split_lines(chunk)
            yield lines, number

    def _read_lines(self, lines: Sequence[bytes], number: int) -> Iterator[RawRecord]:
        """Yield the records of ``lines``, one each; the first is line ``number`` of the file."""
        layout = self.layout
        self._is_parsed = isinstance(lines, ParsedLines)
        if isinstance(lines, ParsedLines):
            yield from ((at, *pair) for at, pair in enumerate(zip(lines, lines.records, strict=True), number))
            return
        for at, line in enumerate(lines, start=number):
            raw = line.removeprefix(BYTE_ORDER_MARK)  # the marks are those of files that were joined
            text = decode(raw.removesuffix(b"\r"))
            if layout.kind == "table":
                yield at, raw, text.split(layout.delimiter, 1 if layout.is_pair else -1)
            elif text.strip():
                try:
                    yield at, raw, parse_object(text) if layout.kind == "json" else split_fasttext(text)
                except FaultError as fault:
                    yield at, raw, fault

    def _collect(self, records: Iterable[RawRecord | None]) -> Iterator[list[Row]]:
        """Yield lists of the rows of ``records``, each before a wait for input (None), or a fault that is raised."""
        rows: list[Row] = []
        try:
            for index, record in enumerate(records, start=1):
                if record is not None and (row := self._make_row(record, index)) is not None:
                    rows.append(row)
                if rows and (record is None or len(rows) == _MAX_ROWS):
                    yield rows
                    rows = []
        except DataError:
            if rows:
                yield rows
            raise
        if rows:
            yield rows

    def _make_row(self, raw_record: RawRecord, index: int) -> Row | None:
        """Return the row of a record, None for one that is skipped: bad, blank, or the header again."""
        number, raw = raw_record[:2]
        record: Any = raw_record[2]
        try:
            if self._labelled and not (self._is_parsed or is_utf8(raw)):
                raise FaultError(_NOT_UTF8 if self._has_rows else _NOT_TEXT)
            if isinstance(record, FaultError):
                raise record
            if self.layout.kind == "table" and (self._is_blank(record) or self._is_header(record, raw)):
                return None
            found = self._fields.select(record)
        except FaultError as fault:
            # all objects of an array may stand in one line
            reason = f"record {index}: {fault.reason}" if self.layout.is_array else fault.reason
            error = DataError(self._path, number, reason, kind=fault.kind, in_rows=self._has_rows)
            return self._handle(fault, error, raw)
        self._distributions += found.distribution is not None
        if self.layout.weight or (self.layout.kind == "json" and self.config.weight):
            self._weights = min(self._weights[0], found.weight), max(self._weights[1], found.weight)
        return Row(number, raw, *found, names=record if self.layout.kind == "json" else ())

    def _is_blank(self, record: Sequence[str]) -> bool:
        """Return whether a record of a table is none; without labels, only a line without fields is blank."""
        if not self._labelled and (len(record) > 1 or self.layout.width == 1):
            return False
        text = "".join(record)
        return not text or text.isspace()

    def _is_header(self, record: Sequence[str], raw: bytes) -> bool:
        """Return whether a record of a table with a header is the header again, or a line before it.

        Raises:
            DataError: it is the header with the columns in another order.
        """
        is_header = self._header != [] and raw.removesuffix(b"\r") == self._preamble
        if not is_header and len(self._header) > 1 and fold(record[0]) in self._header:
            names = list(map(fold, record))
            is_header = names == self._header
            if not is_header and sorted(names) == sorted(self._header):
                raise DataError(self._path, None, "holds a second header with other columns; read the files one by one")
        self._repeated_headers += is_header
        return is_header

    def _handle(self, fault: FaultError, error: DataError, raw: bytes) -> Row | None:
        """Return the row that stands for a bad record, or None to skip it; raise ``error`` if it is not settled."""
        choice, number = self.config.on_error, error.line_number or 0
        if choice == "empty" and (fault.rest is not None or not self._labelled):
            self._empty_texts += 1
            return Row(number, raw, *(fault.rest or Selection("", [])), is_valid=False)
        if choice == "skip":
            self._skipped += 1
            if len(self._first_skipped) < _SHOWN:
                unit = "row" if self._has_rows else "line"
                self._first_skipped.append(f"{unit} {number}: {error.reason.partition('; ')[0]}")
            if self._rejects is not None:
                header = self.header if self._skipped == 1 else None
                self._rejects(raw + b"\n" if header is None else header + b"\n" + raw + b"\n")
        elif self._on_fault is not None:
            self._on_fault(error)
        else:
            raise error
        return None

    def _list_notes(self) -> Iterator[str]:
        """Yield what was detected and left out."""
        layout, usual = self.layout, "," if BY_EXTENSION.get(find_suffix(self._path)) == "csv" else "\t"
        if layout.kind == "table" and self.config.delimiter is None and layout.delimiter != usual:
            yield f"fields are divided by {name_delimiter(layout.delimiter)}"
        if layout.has_row_names:
            yield "the first column has no name in the header; it is read as row numbers"
        if self._distributions:
            records = pluralize(self._distributions, "record gives", "records give")
            likely = "those with at least 0.5 count" if self.config.multi_label else "the most probable one counts"
            yield f"{records} probabilities of labels; {likely} where one label is needed"
        if self._weights[1] > -math.inf:
            yield f"weights from {self._weights[0]:g} to {self._weights[1]:g}"
        if self._repeated_headers:
            yield f"{pluralize(self._repeated_headers, 'repeated header', 'repeated headers')} left out"
        if self._empty_texts:
            yield f"{pluralize(self._empty_texts, 'bad record', 'bad records')} read as an empty text"
        if self._skipped:
            more = "; ..." if self._skipped > _SHOWN else ""
            number = pluralize(self._skipped, "bad record", "bad records")
            yield f"{number} skipped: {'; '.join(self._first_skipped)}{more}"

    def _split_plain(self, lines: Sequence[bytes]) -> list[list[bytes]] | None:
        """Return the fields of each line; None if they must be parsed one by one, as for a blank line or a fault."""
        if self.layout.kind == "json":  # the fields are in the records
            return []
        joined = b"\n".join(lines)
        if BYTE_ORDER_MARK in joined or (self._labelled and not is_utf8(joined)):
            return None
        if b"\r" in joined:
            lines = [line.removesuffix(b"\r") for line in lines]
        return split_fasttext_lines(lines) if self.layout.kind == "fasttext" else self.layout.split_lines(lines)

    def _make_rows(self, number: int, lines: Sequence[bytes], fields: Sequence[Sequence[bytes]]) -> list[Row] | None:
        """Return the rows of a table without labels; None if one may be the header again."""
        columns = [b"\n".join([record[at] for record in fields]) for at in (0, self.layout.text[0])]
        first, texts = (decode(column).split("\n") for column in columns)
        if len(self._header) > 1 and not set(map(fold, first)).isdisjoint(self._header):
            return None
        return list(map(Row, count(number), lines, texts, repeat(_NO_LABELS)))

    def _make_parsed_rows(self, number: int, lines: Sequence[bytes], _: object) -> list[Row] | None:
        """Return the rows of lines without labels whose records are known; None if one needs a closer look."""
        records = lines.records if isinstance(lines, ParsedLines) else []
        (name,) = as_list(self.config.text) or [TEXT]
        texts: list[Any] = [record.get(name) for record in records]
        if set(map(type, texts)) != {str} or any("\n" in text or "\r" in text for text in texts):
            return None
        found = enumerate(zip(lines, texts, records, strict=True), start=number)
        return [Row(at, line, text, _NO_LABELS, names=record) for at, (line, text, record) in found]
