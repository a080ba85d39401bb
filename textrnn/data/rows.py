"""Rows of text, with or without labels, of a file in any format."""

from __future__ import annotations

import csv
import json
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from textrnn.config import DataConfig
from textrnn.data.fields import (
    FaultError,
    ObjectFields,
    TableFields,
    check_labels,
    parse_object,
    split_fasttext,
)
from textrnn.data.io import decode
from textrnn.data.layout import BY_EXTENSION, DELIMITERS, describe_csv_error, find_layout, find_suffix, shorten
from textrnn.errors import DataError, name_file, pluralize

OnFault = Callable[[DataError], None]
"""Called with the fault of a record; if it returns, the record is skipped."""

_MARK = "\ufeff"
_BLANK = b"\xef\xbb\xbf \t\r\n"
_NUL, _NUL_SUBSTITUTE = "\0", "\ud800"  # csv of Python 3.10 rejects NUL; no decoded text has a surrogate
_SHOWN = 3  # skipped records in a note
_MAX_ROWS = 4096  # in a list of rows
_NOT_TEXT = "bytes that are not valid in the encoding; if the file has another one, use --set data.encoding=NAME"
_DEFAULT = DataConfig()


class Row(NamedTuple):
    """A record: the line where it starts, its ``raw`` bytes, and what the config asks for.

    ``raw`` has no final newline, but the ``\\r`` before it; objects of a JSON array are one line each. Line ends inside
    the text (CSV, JSON) are spaces. ``names`` are the keys of a JSON
    object. ``is_valid`` is False for a bad record that is read as an empty text.
    """

    number: int
    raw: bytes
    text: str
    labels: list[str]
    group: str = ""
    names: Collection[str] = ()
    is_valid: bool = True


class RowReader:
    """Reads the rows of one file, given its ``chunks`` (see :func:`textrnn.data.io.read_chunks`).

    Iteration yields lists of rows: all of a chunk, without waiting for more input. Blank lines are skipped, except by
    tables of one column without labels. So is a header that is repeated between rows, as in files that were joined.
    Without ``labelled`` only the text is read, and bytes that are not UTF-8 become U+FFFD instead of a fault.
    ``on_fault`` replaces ``data.on_error``; ``rejects`` gets the header and the lines of the records that are skipped.

    Raises:
        DataError, ConfigError: see :func:`textrnn.data.layout.find_layout`; in the iteration, the first fault unless
            it is skipped, after all earlier rows.
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
        for chunk in self._chunks:
            self._head += chunk.split(b"\n")
            if chunk.strip(_BLANK):
                break
        self.layout = find_layout(path, [decode(line) for line in self._head], config, labelled=labelled)
        self._repeated_headers = self._empty_texts = self.skipped = 0
        self._first_skipped: list[str] = []
        self._header = None if self.layout.header is None else list(self.layout.header)
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
            notes.append(f"{name}: fields are divided by {DELIMITERS[layout.delimiter]}")
        if self._repeated_headers:
            count = pluralize(self._repeated_headers, "repeated header", "repeated headers")
            notes.append(f"{name}: {count} left out")
        if self._empty_texts:
            count = pluralize(self._empty_texts, "record without a text", "records without a text")
            notes.append(f"{name}: {count} read as empty")
        if self.skipped:
            count = pluralize(self.skipped, "bad record", "bad records")
            more = "; ..." if self.skipped > _SHOWN else ""
            notes.append(f"{name}: {count} skipped: {'; '.join(self._first_skipped)}{more}")
        return notes

    @property
    def header(self) -> bytes | None:
        """The bytes of the header, None without one."""
        if self._header is None:
            return None
        return b"\n".join(self._head[: self.layout.start]).lstrip()

    def __iter__(self) -> Iterator[list[Row]]:
        rows: list[Row] = []
        try:
            for row in self._read():
                if row is not None:
                    rows.append(row)
                if rows and (self._waits or row is None or len(rows) == _MAX_ROWS):
                    yield rows
                    rows = []
        except DataError:
            if rows:
                yield rows
            raise
        if rows:
            yield rows

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
        for at, line in enumerate(lines, start=number):
            try:
                text = self._decode(line.removesuffix(b"\r")).removeprefix(_MARK)
                if not text.strip() and self._skips_blank(text):
                    continue
                row = self._make_row(at, line, self._split(text))
            except FaultError as fault:
                row = self._handle(fault, at, line)
            if row is not None:
                yield row

    def _read(self) -> Iterator[Row | None]:
        """Yield the rows, and None before waiting for a chunk."""
        if self.layout.is_array:
            yield from self._read_array()
        elif self.layout.kind == "table" and self.layout.is_quoted:
            yield from self._read_quoted()
        else:
            for lines, number in self.chunks():
                yield from self.parse(lines, number)
                yield None

    def _skips_blank(self, text: str) -> bool:
        """Return whether a line of spaces is no record; without labels, a row of empty fields is one."""
        if self._labelled or self.layout.kind == "json":
            return True
        return self.layout.width > 1 and self.layout.delimiter not in text

    def _decode(self, line: bytes) -> str:
        if not self._labelled:
            return decode(line)
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            raise FaultError(_NOT_TEXT) from None

    def _handle(self, fault: FaultError, number: int, raw: bytes) -> Row | None:
        """Return the row that stands for a faulty record, or None to skip it."""
        error = DataError(self._path, number, fault.reason)
        if self._on_fault is not None:
            self._on_fault(error)
        elif self._config.on_error == "empty" and (fault.labels is not None or not self._labelled):
            self._empty_texts += 1
            return Row(number, raw, "", fault.labels or [], fault.group, is_valid=False)
        elif self._config.on_error == "skip":
            self.skipped += 1
            if len(self._first_skipped) < _SHOWN:
                self._first_skipped.append(f"line {number}: {fault.reason}")
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
        """Return the row of a record; raises FaultError."""
        layout, config = self.layout, self._config
        if layout.kind == "fasttext":
            labels, text = record
            if not config.multi_label and len(labels) != 1:
                raise FaultError(
                    "several labels; keep one per line, or use --set data.multi_label=true"
                    if labels
                    else "no label; write __label__LABEL text"
                )
            return Row(number, raw, text, check_labels(labels))
        if layout.kind == "json":
            select: ObjectFields | TableFields = ObjectFields(record, labelled=self._labelled)
        elif record == self._header:
            self._repeated_headers += 1
            return None
        else:
            select = TableFields(record, self.layout)
        labels = check_labels(select.labels(config)) if self._labelled else []
        group = select.group(config) if config.group is not None and self._labelled else ""
        try:
            text = select.text(config)
        except FaultError as fault:
            fault.labels, fault.group = labels, group
            raise
        return Row(number, raw, text, labels, group, record if layout.kind == "json" else ())

    def _read_quoted(self) -> Iterator[Row | None]:
        """Yield the rows of CSV, whose records may span lines.

        After a fault, reading resumes in the second line of the record: a quote that is never closed costs one line.
        """
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        pending: deque[tuple[int, bytes]] = deque()
        taken: list[tuple[int, bytes]] = []  # lines of the current record
        invalid = False

        def feed(lines: Iterator[tuple[int, bytes]]) -> Iterator[str]:
            nonlocal invalid
            while (item := pending.popleft() if pending else next(lines, None)) is not None:
                taken.append(item)
                text = decode(item[1]).removeprefix(_MARK) if len(taken) == 1 else decode(item[1])
                if self._labelled and "\ufffd" in text:
                    invalid = invalid or not _is_utf8(item[1])
                yield text.replace(_NUL, _NUL_SUBSTITUTE) + "\n"

        lines = self._number_lines()
        rows = csv.reader(feed(lines), delimiter=self.layout.delimiter, strict=True)
        while True:
            taken.clear()
            invalid = False
            try:
                record = next(rows)
                if len(record) < 2 and not "".join(record).strip() and self._skips_blank(""):
                    continue
                if invalid:
                    raise FaultError(_NOT_TEXT)
                record = [field.replace(_NUL_SUBSTITUTE, _NUL) for field in record] or [""]
                row = self._make_row(taken[0][0], _join(taken), record)
            except StopIteration:
                return
            except csv.Error as error:
                ends = f" (the row ends in line {taken[-1][0]})" if len(taken) > 1 else ""
                row = self._handle(FaultError(f"not CSV: {describe_csv_error(error)}{ends}"), *taken[0])
                pending.extendleft(reversed(taken[1:]))
                rows = csv.reader(feed(lines), delimiter=self.layout.delimiter, strict=True)
            except FaultError as fault:
                row = self._handle(fault, taken[0][0], _join(taken))
            yield row

    def _number_lines(self) -> Iterator[tuple[int, bytes]]:
        for lines, number in self.chunks():
            self._waits = False
            for at, line in enumerate(lines, start=number):
                self._waits = at == number + len(lines) - 1
                yield at, line

    def _read_array(self) -> Iterator[Row]:
        """Yield the objects of a JSON array, or of objects that span lines; the file is read as a whole."""
        text = b"\n".join(line for lines, _ in self.chunks() for line in lines).decode("utf-8", "surrogateescape")
        text = text.removeprefix(_MARK)
        decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None)
        number, at, end = self.layout.start + 1, 0, 0
        while (end := _skip(text, end)) < len(text):
            number, at = number + text.count("\n", at, end), end
            try:
                record, end = decoder.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", None) or "nested too deeply"
                line = getattr(error, "lineno", 1) + self.layout.start
                raise DataError(self._path, line, f"not JSON: {reason}; the rest cannot be read") from None
            raw = text[at:end].replace("\r", "").replace("\n", " ").encode("utf-8", "surrogateescape")
            try:
                if not _is_utf8(raw):
                    record = decoder.decode(self._decode(raw))
                if not isinstance(record, dict):
                    raise FaultError(f"not a JSON object: {shorten(decode(raw))}")
                row = self._make_row(number, raw, record)
            except FaultError as fault:
                row = self._handle(fault, number, raw)
            if row is not None:
                yield row
        if text.lstrip().startswith("[") and not text.rstrip().endswith("]"):
            raise DataError(self._path, None, "ends inside a JSON array; the file is cut, copy it again")


def _usual_delimiter(path: str) -> str:
    return "," if BY_EXTENSION.get(find_suffix(path)) == "csv" else "\t"


def _is_utf8(line: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        line.decode("utf-8")
        return True
    return False


def _join(taken: Sequence[tuple[int, bytes]]) -> bytes:
    return b"\n".join([line for _, line in taken])


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,[]":
        at += 1
    return at
