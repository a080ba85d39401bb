"""Rows of text, with or without labels, of a file in any format."""

from __future__ import annotations

import csv
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import count, repeat
from typing import Any, NamedTuple

from textrnn.config import DataConfig
from textrnn.data.reading.fields import JSON, FaultError, RecordFields, parse_object, split_fasttext
from textrnn.data.reading.io import BYTE_ORDER_MARK, decode
from textrnn.data.reading.layout import (
    BY_EXTENSION,
    NO_TEXT,
    SEARCHED_LINES,
    describe_csv_error,
    find_layout,
    find_suffix,
    fold,
    is_preamble,
    name_delimiter,
)
from textrnn.errors import DataError, name_file, pluralize, shorten

OnFault = Callable[[DataError], None]
"""Called with the fault of a record; if it returns, the record is skipped."""

_MARK, _REPLACEMENT = "\ufeff", "\ufffd"
_NO_LABELS: list[str] = []
_NUL, _NUL_SUBSTITUTE = "\0", "\ud800"  # csv of Python 3.10 rejects NUL; no decoded text has a surrogate
_SHOWN = 3  # skipped records in a note
_MAX_ROWS = 4096  # in a list of rows
_NOT_TEXT = "bytes that are not valid in the encoding; if the file has another one, use --set data.encoding=NAME"
_DEFAULT = DataConfig()


class Row(NamedTuple):
    """A record: the line where it starts, its ``raw`` bytes, its text, labels and group.

    ``raw`` has no final newline, but the ``\\r`` before it; objects of a JSON array are one line each. Line ends inside
    the text (CSV, JSON) are spaces. ``names`` are the keys of a JSON object. ``is_valid`` is False for a bad record
    that is read as an empty text.
    """

    number: int
    raw: bytes
    text: str
    labels: list[str]
    group: str = ""
    names: Collection[str] = ()
    is_valid: bool = True


class RowReader:
    """Reads the rows of one file, given its ``chunks`` (see :func:`textrnn.data.reading.io.read_chunks`).

    Iteration yields lists of rows: all of a chunk, without waiting for more input. Blank lines are skipped, except by
    tables of one column without labels. So is a header that is repeated between rows, as in files that were joined.
    Without ``labelled`` only the text is read, and bytes that are not UTF-8 become U+FFFD instead of a fault.
    ``on_fault`` replaces ``data.on_error``; ``rejects`` gets the header and the lines of the records that are skipped.

    Raises:
        DataError, ConfigError: see :func:`find_layout`; and in the iteration the first fault that is not skipped, after
            all earlier rows.
    """

    def __init__(
        self,
        path: str,
        chunks: Iterable[bytes],
        config: DataConfig = _DEFAULT,
        *,
        labelled: bool = True,
        on_fault: OnFault | None = None,
        rejects: Callable[[bytes], object] | None = None,
    ) -> None:
        self._path, self._chunks, self._config = path, iter(chunks), config
        self._labelled, self._on_fault, self._rejects = labelled, on_fault, rejects
        self._head: list[bytes] = []
        enough, records = SEARCHED_LINES if labelled else 1, 0  # without labels, a header is answered at once
        for chunk in self._chunks:
            lines = chunk.split(b"\n")
            self._head += lines
            records += sum(not is_preamble(decode(line)) for line in lines)
            if records >= enough:
                break
        self.layout = find_layout(path, [decode(line) for line in self._head], config, labelled=labelled)
        self._repeated_headers = self._empty_texts = self.skipped = 0
        self._first_skipped: list[str] = []
        before = [line.removesuffix(b"\r") for line in self._head[: self.layout.header_start] if line.strip()]
        self._preamble = before[0].removeprefix(BYTE_ORDER_MARK) if before else None  # the line sep=; of Excel
        names = list(map(fold, self.layout.header or ()))
        self._header = names[1:] if self.layout.has_row_names else names
        self._fields = RecordFields(self.layout, config, labelled=labelled)
        self._waits = False  # whether the next line comes from a chunk that may not have arrived

    @property
    def notes(self) -> list[str]:
        """Lines for the user about what was detected, and left out so far."""
        layout, notes, name = self.layout, [], name_file(self._path)
        if (
            layout.kind == "table"
            and self._config.delimiter is None
            and layout.delimiter != _usual_delimiter(self._path)
        ):
            notes.append(f"{name}: fields are divided by {name_delimiter(layout.delimiter)}")
        if layout.has_row_names:
            notes.append(f"{name}: the first column has no name in the header; it is read as row numbers")
        if self._repeated_headers:
            number = pluralize(self._repeated_headers, "repeated header", "repeated headers")
            notes.append(f"{name}: {number} left out")
        if self._empty_texts:
            number = pluralize(self._empty_texts, "bad record", "bad records")
            notes.append(f"{name}: {number} read as an empty text")
        if self.skipped:
            number = pluralize(self.skipped, "bad record", "bad records")
            more = "; ..." if self.skipped > _SHOWN else ""
            notes.append(f"{name}: {number} skipped: {'; '.join(self._first_skipped)}{more}")
        return notes

    @property
    def no_text(self) -> DataError:
        """The error for a file without a record that can be read."""
        reason = f"all records are bad; {self._first_skipped[0]}" if self._first_skipped else NO_TEXT
        return DataError(self._path, None, reason)

    @property
    def header(self) -> bytes | None:
        """The bytes of the header, None without one; all columns have a name, if only an empty one."""
        layout = self.layout
        if layout.header is None:
            return None
        header = b"\n".join(self._head[layout.header_start : layout.start]).removeprefix(BYTE_ORDER_MARK)
        return b'""' + layout.delimiter.encode() + header if layout.has_row_names else header

    def __iter__(self) -> Iterator[list[Row]]:
        layout = self.layout
        if layout.is_array:
            yield from self._collect(self._read_array())
        elif layout.kind == "table" and layout.is_quoted:
            yield from self._collect(self._read_quoted())
        else:
            for lines, number in self.chunks():
                rows = self._split_in_bulk(lines, number)
                if rows is None:
                    yield from self._collect(self.parse(lines, number))
                else:
                    yield rows

    def _collect(self, rows: Iterator[Row | None]) -> Iterator[list[Row]]:
        """Yield lists of ``rows``, each before the next row has to wait for input, or raises its fault."""
        block: list[Row] = []
        try:
            for row in rows:
                if row is not None:
                    block.append(row)
                if block and (self._waits or len(block) == _MAX_ROWS):
                    yield block
                    block = []
        except DataError:
            if block:
                yield block
            raise
        if block:
            yield block

    def _split_in_bulk(self, lines: list[bytes], number: int) -> list[Row] | None:
        """Return the rows of a table without labels; None if its lines must be parsed one by one."""
        layout = self.layout
        if self._labelled or layout.kind != "table" or len(layout.text) > 1:
            return None
        chunk = b"\n".join(lines)
        records = None if b"\r" in chunk or BYTE_ORDER_MARK in chunk else layout.split_lines(lines)
        if records is None:
            return None
        first, texts = (
            decode(b"\n".join([record[at] for record in records])).split("\n") for at in (0, layout.text[0])
        )
        if len(self._header) > 1 and not set(map(fold, first)).isdisjoint(self._header):
            return None  # perhaps a repeated header
        return list(map(Row, count(number), lines, texts, repeat(_NO_LABELS)))

    def chunks(self) -> Iterator[tuple[list[bytes], int]]:
        """Yield the lines of each chunk after the header, and the number of the first of them in the file."""
        lines, number = self._head[self.layout.start :], self.layout.start + 1
        yield lines, number
        for chunk in self._chunks:
            number += len(lines)
            lines = chunk.split(b"\n")
            yield lines, number

    def parse(self, lines: Sequence[bytes], number: int) -> Iterator[Row]:
        """Yield the rows of ``lines``, each with one record at most; the first is line ``number`` of the file."""
        # the marks are those of files that were joined
        for at, line in enumerate((line.removeprefix(BYTE_ORDER_MARK) for line in lines), start=number):
            try:
                text = self._decode(line.removesuffix(b"\r"))
                if not text.strip() and self._skips_blank(text):
                    continue
                row = self._make_row(at, line, self._split(text))
            except FaultError as fault:
                row = self._handle(fault, at, line)
            if row is not None:
                yield row

    def _skips_blank(self, text: str) -> bool:
        """Return whether a line of spaces is no record; without labels, a row of empty fields is one."""
        if self._labelled or self.layout.kind == "json":
            return True
        return self.layout.width > 1 and self.layout.delimiter not in text

    def _is_header(self, record: Any) -> bool:
        """Return whether a record of a table with a header is the header again.

        Raises:
            DataError: it is the header with the columns in another order.
        """
        if len(self._header) < 2 or fold(record[0]) not in self._header:
            return False
        names = list(map(fold, record))
        if names != self._header and sorted(names) == sorted(self._header):
            raise DataError(self._path, None, "holds a second header with other columns; read the files one by one")
        return names == self._header

    def _decode(self, line: bytes) -> str:
        if not self._labelled:
            return decode(line)
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            raise FaultError(_NOT_TEXT) from None

    def _handle(self, fault: FaultError, number: int, raw: bytes) -> Row | None:
        """Return the row that stands for a faulty record, or None to skip it."""
        error = DataError(self._path, number, fault.reason, kind=fault.kind)
        if self._on_fault is not None:
            self._on_fault(error)
        elif self._config.on_error == "empty" and (fault.labels is not None or not self._labelled):
            self._empty_texts += 1
            return Row(number, raw, "", fault.labels or [], fault.group, is_valid=False)
        elif self._config.on_error == "skip":
            self.skipped += 1
            if len(self._first_skipped) < _SHOWN:
                self._first_skipped.append(f"line {number}: {fault.reason.partition('; ')[0]}")
            if self._rejects is not None:
                header = self.header if self.skipped == 1 else None
                self._rejects(raw + b"\n" if header is None else header + b"\n" + raw + b"\n")
        else:
            raise error
        return None

    def _split(self, text: str) -> Any:
        """Return the record in the line ``text``: fields, a JSON object, or fastText's labels and text."""
        layout = self.layout
        if layout.kind == "table":
            return text.split(layout.delimiter, 1 if layout.is_pair else -1)
        return parse_object(text) if layout.kind == "json" else split_fasttext(text)

    def _make_row(self, number: int, raw: bytes, record: Any) -> Row | None:
        """Return the row of a record, None for a repeated header or an empty row of Excel; raises FaultError."""
        if self._header and (self._is_header(record) or raw.removesuffix(b"\r") == self._preamble):
            self._repeated_headers += 1
            return None
        if self._labelled and self.layout.kind == "table" and not any(record):
            return None
        text, labels, group = self._fields.select(record)
        return Row(number, raw, text, labels, group, record if self.layout.kind == "json" else ())

    def _read_quoted(self) -> Iterator[Row | None]:
        """Yield the rows of CSV, whose records may span lines.

        After a fault, reading resumes in the second line of the record: a quote that is never closed costs one line.
        """
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        pending: deque[tuple[int, bytes, str]] = deque()
        taken: list[tuple[int, bytes, str]] = []  # lines of the current record: number, bytes and text
        lines = self._number_lines()

        def feed() -> Iterator[str]:
            while (line := pending.popleft() if pending else next(lines, None)) is not None:
                taken.append(line)
                yield line[2]

        rows = csv.reader(feed(), delimiter=self.layout.delimiter, strict=True)
        while True:
            taken.clear()
            try:
                record = next(rows)
                if len(record) < 2 and not "".join(record).strip() and self._skips_blank(""):
                    continue
                number, raw, text = taken[0]
                if len(taken) > 1:
                    raw, text = b"\n".join(line[1] for line in taken), "".join(line[2] for line in taken)
                if _REPLACEMENT in text and self._labelled:
                    self._decode(raw)
                if _NUL_SUBSTITUTE in text:
                    record = [field.replace(_NUL_SUBSTITUTE, _NUL) for field in record]
                row = self._make_row(number, raw, record or [""])
            except StopIteration:
                return
            except csv.Error as error:
                ends = f" (the row ends in line {taken[-1][0]})" if len(taken) > 1 else ""
                row = self._handle(FaultError(describe_csv_error(error, ends), kind="not CSV"), *taken[0][:2])
                pending.extendleft(reversed(taken[1:]))
                rows = csv.reader(feed(), delimiter=self.layout.delimiter, strict=True)
            except FaultError as fault:
                row = self._handle(fault, number, raw)
            yield row

    def _number_lines(self) -> Iterator[tuple[int, bytes, str]]:
        """Yield the number, the bytes and the text of each line, with a newline."""
        for lines, number in self.chunks():
            self._waits = False
            texts = decode(b"\n".join(lines)).replace(_NUL, _NUL_SUBSTITUTE).split("\n")
            last = number + len(lines) - 1
            for at, line, text in zip(count(number), lines, texts, strict=False):
                self._waits = at == last
                yield at, line.removeprefix(BYTE_ORDER_MARK), f"{text.removeprefix(_MARK)}\n"

    def _read_array(self) -> Iterator[Row]:
        """Yield the objects of a JSON array, or of objects that span lines; the file is read as a whole."""
        text = b"\n".join(line for lines, _ in self.chunks() for line in lines).decode("utf-8", "surrogateescape")
        text = text.removeprefix(_MARK)
        number, at, end, index = self.layout.start + 1, 0, 0, 0
        while (end := _skip(text, end)) < len(text):
            number, at, index = number + text.count("\n", at, end), end, index + 1
            try:
                record, end = JSON.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", None) or "nested too deeply"
                line = getattr(error, "lineno", 1) + self.layout.start
                raise DataError(self._path, line, f"not JSON: {reason}; the rest cannot be read") from None
            raw = text[at:end].replace("\r", "").replace("\n", " ").encode("utf-8", "surrogateescape")
            try:
                if _REPLACEMENT in decode(raw):  # some of its bytes may be invalid
                    record = JSON.decode(self._decode(raw))
                if not isinstance(record, dict):
                    raise FaultError(f"not a JSON object: {shorten(decode(raw))}", kind="not a JSON object")
                row = self._make_row(number, raw, record)
            except FaultError as fault:
                fault.reason = f"record {index}: {fault.reason}"  # all may stand in one line
                row = self._handle(fault, number, raw)
            if row is not None:
                yield row
        if text.lstrip().startswith("[") and not text.rstrip().endswith("]"):
            raise DataError(self._path, None, "ends inside a JSON array; the file is cut, copy it again")


def _usual_delimiter(path: str) -> str:
    return "," if BY_EXTENSION.get(find_suffix(path)) == "csv" else "\t"


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,[]":
        at += 1
    return at
