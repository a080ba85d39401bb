"""The records that are to be labelled: lines of text, or rows of a table of which one field is the text."""

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
"""The columns or keys that a prediction may add to a record."""

_PREFIX = "predicted_"
_NUL, _NUL_STANDS_AS = "\0", "\u0100"  # csv of Python 3.10 takes no NUL


class Record(NamedTuple):
    """What gives one output record: ``raw`` as it stands, without its line end (but with a ``\\r``), and its ``text``.

    ``text`` is None for a header. ``prefix`` is what goes before :data:`NAMES` so that the record has none of them.
    """

    raw: bytes
    text: str | None
    format: RecordFormat | Literal["line"] = "line"
    prefix: str = ""

    @property
    def size(self) -> int:
        """The bytes that it has."""
        return len(self.raw)


class RecordReader:
    """Reads files one after the other, and hands their records out as they come.

    Args:
        field: None where a line is a text. Else what holds the text: the name of a column or key, or the number of a
            column, from 1. Tables have a header where it is a name, and none where it is a number.
        format: that of the tables; None: each is told by its file's name, or its first line.
        watch: called with how many bytes of all files were read, as they stand on the disk.
    """

    def __init__(
        self,
        *,
        field: str | None = None,
        format: RecordFormat | None = None,  # noqa: A002 - what it is called everywhere
        watch: Callable[[int], None] | None = None,
    ) -> None:
        self._field, self._wanted, self._watch = field, format, watch
        self._read_before = self._position = 0
        self._first: tuple[str, RecordFormat] | None = None  # file, and its format
        self._header: list[bytes] | None = None  # of the first file that has one

    def read(self, paths: Iterable[str], emit: Callable[[Sequence[Record]], None]) -> None:
        """Call ``emit`` with the records of ``paths``, as soon as there are some.

        A blank line is a record, but in CSV and JSON Lines, where it is passed over. Of tables with the same header
        the first one's is handed out.

        Raises:
            DataError: a file cannot be read, its format cannot be told, it differs from the first one's, or a record
                lacks the field. The records before it were handed out.
        """
        for path in paths:
            if self._field is None:
                for block in self._read_blocks(path):
                    emit([Record(line, decode(line.removesuffix(b"\r"))) for line in block])
            else:
                self._read_table(path, emit)
            self._read_before += self._position

    def _read_blocks(self, path: str) -> Iterator[list[bytes]]:
        return read_blocks(path, keep_returns=True, watch=None if self._watch is None else self._note)

    def _note(self, position: int) -> None:
        self._position = position
        if self._watch is not None:
            self._watch(self._read_before + position)

    def _read_table(self, path: str, emit: Callable[[Sequence[Record]], None]) -> None:
        found: list[Record] = []

        def hand_out() -> None:
            nonlocal found
            if found:
                emit(found)
                found = []

        def give_lines() -> Iterator[bytes]:
            for block in self._read_blocks(path):
                yield from block
                hand_out()  # before more is waited for

        try:
            for record in self._parse(path, give_lines()):
                found.append(record)
        except DataError:
            hand_out()
            raise
        hand_out()

    def _parse(self, path: str, lines: Iterator[bytes]) -> Iterator[Record]:
        head = read_head(lines)
        if not head:
            return
        kind = self._wanted or self._find_format(path, head[-1])
        if self._first is None:
            self._first = (path, kind)
        elif kind != self._first[1]:
            raise DataError(path, 1, f"{kind}, but {self._first[0]} is {self._first[1]}; label them one by one")
        parse = {"tsv": self._parse_tsv, "csv": self._parse_csv, "jsonl": self._parse_jsonl}[kind]
        yield from parse(path, chain(head, lines))

    def _find_format(self, path: str, first: bytes) -> RecordFormat:
        known = BY_EXTENSION.get(find_suffix(path))
        if known is not None:
            return cast("RecordFormat", known)
        assert self._field is not None  # lines have no format
        if (table := detect_table(decode(first).removesuffix("\r"), {self._field})) is not None:
            return table
        raise DataError(path, 1, "cannot tell the format from the name or this line; say --input-format tsv|csv|jsonl")

    def _parse_tsv(self, path: str, lines: Iterator[bytes]) -> Iterator[Record]:
        numbered = enumerate(lines, start=1)
        rows = ((number, line, line.removesuffix(b"\r").split(b"\t")) for number, line in numbered)
        return self._take_field(path, "tsv", rows)

    def _parse_csv(self, path: str, lines: Iterator[bytes]) -> Iterator[Record]:
        taken: list[bytes] = []  # the lines of the row that is being read

        def spell() -> Iterator[str]:  # every byte as one character: those that divide fields and rows are ASCII
            for line in lines:
                taken.append(line)
                yield line.decode("latin-1").replace(_NUL, _NUL_STANDS_AS)

        def give_rows() -> Iterator[tuple[int, bytes, list[bytes]]]:
            for number, row in read_rows(path, spell(), refuse):
                raw = b"\n".join(taken)
                taken.clear()
                if len(row) > 1 or "".join(row).strip(" \t\r\n"):
                    yield number, raw, [cell.replace(_NUL_STANDS_AS, _NUL).encode("latin-1") for cell in row]

        return self._take_field(path, "csv", give_rows())

    def _take_field(
        self, path: str, kind: RecordFormat, rows: Iterator[tuple[int, bytes, list[bytes]]]
    ) -> Iterator[Record]:
        """Yield the records of ``rows``: the line where each begins, its bytes, its fields."""
        field = self._field
        assert field is not None
        index, header = int(field) - 1 if is_number(field) else None, not is_number(field)
        for number, raw, fields in rows:
            if header:
                header = False
                index = self._find_column(path, number, [decode(name) for name in fields])
                yield from self._take_header(path, number, kind=kind, raw=raw, fields=fields)
                continue
            assert index is not None
            if index >= len(fields):
                count = pluralize(len(fields), "column", "columns")
                wanted = f"the text is in column {index + 1}" + ("" if is_number(field) else f", '{field}'")
                raise DataError(path, number, f"{count} where {wanted}")
            text = decode(fields[index])
            yield Record(raw, join_lines(text) if kind == "csv" else text, kind)

    def _find_column(self, path: str, number: int, header: list[str]) -> int:
        assert self._field is not None
        if self._field not in header:
            shown = ", ".join(header)
            raise DataError(
                path, number, f"no column '{self._field}' (the header has {shown}); choose one of them with --field"
            )
        return header.index(self._field)

    def _take_header(
        self, path: str, number: int, *, kind: RecordFormat, raw: bytes, fields: list[bytes]
    ) -> Iterator[Record]:
        if self._header is None:
            self._header = fields
            yield Record(raw, None, kind, find_prefix([decode(name) for name in fields]))
        elif fields != self._header:
            raise DataError(path, number, "not the header of the files before it; label them one by one")

    def _parse_jsonl(self, path: str, lines: Iterator[bytes]) -> Iterator[Record]:
        name = self._field
        assert name is not None
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = parse_object(path, decode(line), number=number, example=f'{{"{name}": "..."}}')
            if name not in row:
                shown = ", ".join(row) or "none"
                raise DataError(
                    path, number, f"no key '{name}' (the keys are {shown}); choose one of them with --field"
                )
            text = join_lines(read_value(row[name], name, path=path, number=number))
            yield Record(line, text, "jsonl", find_prefix(row))


def is_number(field: str) -> bool:
    """Whether ``field`` is the number of a column, not a name."""
    return re.fullmatch("0*[1-9][0-9]{0,8}", field) is not None


def find_prefix(names: Collection[str]) -> str:
    """Return what goes before :data:`NAMES` so that none of them is among ``names``."""
    prefix = ""
    while any(prefix + name in names for name in NAMES):
        prefix += _PREFIX
    return prefix
