"""Input records of prediction: lines of text, or rows of a table with a text field."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal, NamedTuple, cast

from textrnn.data.formats import (
    BY_EXTENSION,
    detect_table,
    find_suffix,
    join_lines,
    parse_object,
    read_head,
    read_rows,
    read_value,
    refuse,
)
from textrnn.data.io import decode, read_blocks
from textrnn.errors import DataError, pluralize
from textrnn.inference import RecordFormat

NAMES = ("label", "probability", "top", "parts")
"""Columns or keys that a prediction adds to a record."""

_PREFIX = "predicted_"
_NUL, _NUL_SUBSTITUTE = "\0", "\u0100"  # csv of Python 3.10 rejects NUL


class Record(NamedTuple):
    """An input record: the ``raw`` bytes without the final newline (but with a ``\\r``), and its ``text``.

    ``text`` is None for a header. ``prefix`` makes :data:`NAMES` distinct from the names in the record.
    """

    raw: bytes
    text: str | None
    format: RecordFormat | Literal["line"] = "line"
    prefix: str = ""

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.raw)


class RecordReader:
    """Reads files one after the other, and emits their records as soon as they arrive.

    Args:
        field: the name of the column or key with the text, or the number of the column, from 1; None: each line is a
            text. With a name, a TSV or CSV table has a header; with a number, it has none.
        format: the format of the tables (None: detected from the file name or the first line).
        watch: called with the number of bytes read from all files so far, before decompression.
    """

    def __init__(
        self,
        *,
        field: str | None = None,
        format: RecordFormat | None = None,  # noqa: A002 - the usual name
        watch: Callable[[int], None] | None = None,
    ) -> None:
        self._field, self._format, self._watch = field, format, watch
        self._finished_bytes = self._position = 0
        self._first: tuple[str, RecordFormat] | None = None  # path and format
        self._header: list[bytes] | None = None  # of the first file with a header

    def read(self, paths: Iterable[str], emit: Callable[[Sequence[Record]], None]) -> None:
        """Call ``emit`` with the records of ``paths`` as soon as they arrive.

        An empty line is a record, except in CSV and JSON Lines, where it is skipped. Tables must have equal headers;
        only the first is emitted.

        Raises:
            DataError: a file cannot be read, its format is unknown or differs from that of the first file, or a record
                lacks the field. All earlier records were emitted.
        """
        for path in paths:
            if self._field is None:
                for block in self._read_blocks(path):
                    emit([Record(line, decode(line.removesuffix(b"\r"))) for line in block])
            else:
                self._read_table(path, emit)
            self._finished_bytes += self._position

    def _read_blocks(self, path: str) -> Iterator[list[bytes]]:
        return read_blocks(path, keep_returns=True, watch=None if self._watch is None else self._note)

    def _note(self, position: int) -> None:
        self._position = position
        if self._watch is not None:
            self._watch(self._finished_bytes + position)

    def _read_table(self, path: str, emit: Callable[[Sequence[Record]], None]) -> None:
        records: list[Record] = []

        def flush() -> None:
            if records:
                emit(records.copy())
                records.clear()

        def read_lines() -> Iterator[bytes]:
            for block in self._read_blocks(path):
                yield from block
                flush()  # before waiting for more input

        try:
            for record in self._parse(path, read_lines()):
                records.append(record)
        except DataError:
            flush()
            raise
        flush()

    def _parse(self, path: str, lines: Iterator[bytes]) -> Iterator[Record]:
        head = read_head(lines)
        if not head:
            return
        kind = self._format or self._detect_format(path, head[-1])
        if self._first is None:
            self._first = (path, kind)
        elif kind != self._first[1]:
            raise DataError(path, 1, f"{kind}, but {self._first[0]} is {self._first[1]}; process the files one by one")
        parse = {"tsv": self._parse_tsv, "csv": self._parse_csv, "jsonl": self._parse_jsonl}[kind]
        yield from parse(path, chain(head, lines))

    def _detect_format(self, path: str, first: bytes) -> RecordFormat:
        known = BY_EXTENSION.get(find_suffix(path))
        if known is not None:
            return cast("RecordFormat", known)
        assert self._field is not None  # only tables have a format
        if (table := detect_table(decode(first).removesuffix("\r"), {self._field})) is not None:
            return table
        raise DataError(path, 1, "unknown format; set --input-format tsv|csv|jsonl")

    def _parse_tsv(self, path: str, lines: Iterator[bytes]) -> Iterator[Record]:
        numbered = enumerate(lines, start=1)
        rows = ((number, line, line.removesuffix(b"\r").split(b"\t")) for number, line in numbered)
        return self._select_field(path, "tsv", rows)

    def _parse_csv(self, path: str, lines: Iterator[bytes]) -> Iterator[Record]:
        row_lines: list[bytes] = []  # lines of the current row

        def decode_lines() -> Iterator[str]:  # latin-1 keeps every byte, and the delimiters are ASCII
            for line in lines:
                row_lines.append(line)
                yield line.decode("latin-1").replace(_NUL, _NUL_SUBSTITUTE)

        def parse_rows() -> Iterator[tuple[int, bytes, list[bytes]]]:
            for number, row in read_rows(path, decode_lines(), refuse):
                raw = b"\n".join(row_lines)
                row_lines.clear()
                if len(row) > 1 or "".join(row).strip(" \t\r\n"):
                    yield number, raw, [cell.replace(_NUL_SUBSTITUTE, _NUL).encode("latin-1") for cell in row]

        return self._select_field(path, "csv", parse_rows())

    def _select_field(
        self, path: str, kind: RecordFormat, rows: Iterator[tuple[int, bytes, list[bytes]]]
    ) -> Iterator[Record]:
        """Yield the records of ``rows``, given as line number, raw bytes and fields."""
        field = self._field
        assert field is not None
        index, header = int(field) - 1 if is_number(field) else None, not is_number(field)
        for number, raw, fields in rows:
            if header:
                header = False
                index = self._find_column(path, number, [decode(name) for name in fields])
                yield from self._check_header(path, number, kind=kind, raw=raw, fields=fields)
                continue
            assert index is not None
            if index >= len(fields):
                count = pluralize(len(fields), "column", "columns")
                column = f"column {index + 1}" + ("" if is_number(field) else f", '{field}'")
                raise DataError(path, number, f"has {count}, but the text is in {column}")
            text = decode(fields[index])
            yield Record(raw, join_lines(text) if kind == "csv" else text, kind)

    def _find_column(self, path: str, number: int, header: list[str]) -> int:
        assert self._field is not None
        if self._field not in header:
            columns = ", ".join(header)
            raise DataError(path, number, f"no column '{self._field}'; choose one with --field: {columns}")
        return header.index(self._field)

    def _check_header(
        self, path: str, number: int, *, kind: RecordFormat, raw: bytes, fields: list[bytes]
    ) -> Iterator[Record]:
        if self._header is None:
            self._header = fields
            yield Record(raw, None, kind, find_prefix([decode(name) for name in fields]))
        elif fields != self._header:
            raise DataError(path, number, "the header differs from that of earlier files; process the files one by one")

    def _parse_jsonl(self, path: str, lines: Iterator[bytes]) -> Iterator[Record]:
        name = self._field
        assert name is not None
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = parse_object(path, decode(line), number=number, example=f'{{"{name}": "..."}}')
            if name not in row:
                raise DataError(path, number, f"no key '{name}'; choose one with --field: {', '.join(row) or 'none'}")
            text = join_lines(read_value(row[name], name, path=path, number=number))
            yield Record(line, text, "jsonl", find_prefix(row))


def is_number(field: str) -> bool:
    """Return whether ``field`` is the number of a column, not a name."""
    return re.fullmatch("0*[1-9][0-9]{0,8}", field) is not None


def find_prefix(names: Collection[str]) -> str:
    """Return a prefix that makes :data:`NAMES` distinct from ``names``."""
    prefix = ""
    while any(prefix + name in names for name in NAMES):
        prefix += _PREFIX
    return prefix
