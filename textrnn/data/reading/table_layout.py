"""Layout of a table: its delimiter, quotes, header and columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from textrnn.config import DataConfig, DataFormat, as_list
from textrnn.data.reading.layout import (
    BY_EXTENSION,
    LABEL,
    SEARCHED_LINES,
    TEXT,
    Layout,
    describe_csv_error,
    find_suffix,
    fold,
    is_number,
    list_names,
)
from textrnn.errors import DataError, shorten

_TSV_DELIMITERS, _CSV_DELIMITERS = ("\t", ",", ";", "|"), (",", ";", "\t", "|")  # those that are detected
_DOUBLED_QUOTES = re.compile(r'(^|\t)"([^"\t]|"")*""([^"\t]|"")*"(\t|\r?$)')
_MAX_SEARCHED = 4096  # characters of a line


class TableSearch:
    """The search for the layout of a table in its first ``lines``, of which the first is line ``start`` (from 0).

    Raises:
        DataError: the first record is not CSV.
    """

    def __init__(
        self, path: str, lines: Sequence[str], config: DataConfig, *, kind: DataFormat, labelled: bool, start: int
    ) -> None:
        self._path, self._lines, self._config, self._start, self._labelled = path, lines, config, start, labelled
        self._first = lines[0].lstrip("\ufeff").rstrip("\r")
        self._texts = as_list(config.text) or [TEXT]
        self._labels = (config.label_names or [LABEL]) if labelled else []
        self._groups = as_list(config.group) if labelled else []
        self._weights = as_list(config.weight) if labelled else []
        labels = config.label_names if labelled else []
        given = [*labels, *as_list(config.text), *self._groups, *self._weights]
        self._asked = list(dict.fromkeys([*given, *self._labels, *self._texts]))
        self._is_named = any(not is_number(name) for name in given)
        self._is_numbered = bool(given) and not self._is_named
        self._names = set() if self._is_numbered else {fold(name) for name in self._asked if not is_number(name)}
        self._delimiter = self._find_delimiter(kind)
        is_seen = config.quoting is None and (self._delimiter != "\t" or _has_quotes(lines))
        self._is_quoted = config.quoting or is_seen
        self._fields, self._size = self._read_first()

    def find(self) -> Layout:
        """Return the layout.

        Raises:
            DataError: the format cannot be detected, or the header lacks a column.
        """
        start = self._start
        if self._is_named or (self._names and self._count_names(self._fields) == len(self._names)):
            has_row_names = self._has_row_names()
            header = ["", *self._fields] if has_row_names else self._fields
            places = {name: self._find_column(header, name) for name in self._asked}
            layout, start = self._make(places), start + self._size
            return replace(layout, start=start, width=len(header), header=tuple(header), has_row_names=has_row_names)
        if self._is_numbered:
            defaults = {TEXT: 1, LABEL: 0}
            places = {name: int(name) - 1 if is_number(name) else defaults[name] for name in self._asked}
            return replace(self._make(places), width=1 + max(places.values()), is_exact=False)
        if self._delimiter == "\t" and len(self._fields) > 1 and self._labelled:
            return Layout("table", is_quoted=self._is_quoted, start=start, is_pair=not self._is_quoted)
        raise self._refuse()

    def _make(self, places: dict[str, int]) -> Layout:
        names = (self._texts, self._labels, self._groups, self._weights)
        text, label, group, weight = (tuple(places[name] for name in each) for each in names)
        if same := {*label} & {*text}:
            raise self._error(f"label and text are both column {1 + min(same)}; {self._cure}")
        layout = Layout("table", self._delimiter, self._is_quoted, header_start=self._start, start=self._start)
        return replace(layout, text=text, label=label, group=group, weight=weight)

    def _find_delimiter(self, kind: DataFormat) -> str:
        """Return the delimiter whose columns have the names that are looked for, or that gives most columns."""
        if self._config.delimiter is not None:
            return self._config.delimiter
        if self._config.format == "tsv":
            return "\t"
        candidates = _TSV_DELIMITERS if kind == "tsv" else _CSV_DELIMITERS
        found = {delimiter: self._count_names(_split(self._first, delimiter)) for delimiter in candidates}
        if any(found.values()):
            return max(candidates, key=found.__getitem__)
        return "\t" if kind == "tsv" else max(candidates, key=self._count_fields)

    def _count_names(self, fields: Sequence[str]) -> int:
        """Return the number of names that are looked for among ``fields``."""
        return len(self._names.intersection(map(fold, fields)))

    def _count_fields(self, delimiter: str) -> tuple[int, int]:
        """Return the number of fields that all of the first lines have, or 1; and that of the first line."""
        sizes = {len(_split(line, delimiter)) for line in self._lines[:SEARCHED_LINES] if line.strip()}
        return (sizes.pop() if len(sizes) == 1 else 1, len(_split(self._first, delimiter)))

    def _read_first(self) -> tuple[list[str], int]:
        """Return the fields of the first record, and its number of lines."""
        if not self._is_quoted:
            return self._first.split(self._delimiter), 1
        lines = (f"{line}\n" for line in [self._first, *self._lines[1:]])
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        try:
            return next(reader), reader.line_num
        except csv.Error as error:
            raise self._error(describe_csv_error(error)) from None

    def _has_row_names(self) -> bool:
        """Return whether the first column, of rising numbers, has no name: so R writes the numbers of rows.

        A record without quotes may also have one column more for a delimiter inside the text, unless that is a tab.
        """
        header, delimiter = self._fields, self._delimiter
        lines = [line for line in self._lines[self._size :][:SEARCHED_LINES] if line.strip()]
        if delimiter != "\t" and not all(line.startswith('"') for line in lines[:1]):
            return False
        rows = [line.split(delimiter) for line in lines]
        if self._is_quoted:
            try:
                rows = list(csv.reader(lines, delimiter=delimiter))
            except csv.Error:  # a fault of its record, or a huge field
                return False
        if len(lines) == SEARCHED_LINES:
            rows = rows[:-1]  # the last one may be cut
        names = list(map(fold, header))
        rows = [row for row in rows if list(map(fold, row)) != names]  # without repeated headers
        numbers = [
            int(row[0]) if row[0].isdecimal() and len(row[0]) < 10 and len(row) == len(header) + 1 else -1
            for row in rows
        ]
        rises = all(0 <= a < b or a > b == numbers[0] >= 0 for a, b in pairwise(numbers))
        return numbers == [1] or (len(numbers) > 1 and rises)

    def _find_column(self, header: Sequence[str], name: str) -> int:
        """Return the index of a column: by its exact name, in any case, or by its number."""
        if header.count(name) > 1:
            raise self._error(f"several columns are named '{shorten(name)}'; rename one")
        if name in header:
            return header.index(name)
        folded = [fold(field) for field in header]
        if folded.count(fold(name)) == 1:
            return folded.index(fold(name))
        if is_number(name) and int(name) <= len(header):
            return int(name) - 1
        raise self._missing_column(header, name)

    def _missing_column(self, header: Sequence[str], name: str) -> DataError:
        found = f"no column '{shorten(name)}'; the columns are {list_names(header)}"
        if self._delimiter not in (",", "\t"):
            found = f"fields are divided by '{self._delimiter}'; {found}"
        key = "data.weight" if name in self._weights else "data.group" if name in self._groups else None
        if name in (self._config.label_columns or ()):
            key = "data.label_columns"
        cure = self._cure if key is None else f"name yours with --set {key}={'[A,B]' if 'columns' in key else 'NAME'}"
        return self._error(f"{found}; {cure}", kind="no such column")

    def _refuse(self) -> DataError:
        """Return the error for a first line that is neither a header nor a record."""
        is_named = self._config.format != "auto" or self._config.delimiter is not None
        is_table = is_named or BY_EXTENSION.get(find_suffix(self._path)) in ("csv", "tsv")
        if is_table or (len(self._lines) > 2 and self._count_fields(self._delimiter)[0] > 1):
            folded = list(map(fold, self._fields))
            missing = next((name for name in self._asked if fold(name) not in folded), self._asked[0])
            return self._missing_column(self._fields, missing)
        cure = "write label<TAB>text, or set the format with --set data.format=tsv|csv|jsonl|fasttext"
        if not self._labelled:
            cure = "set the format with --input-format tsv|csv|jsonl"
        return self._error(f"unknown format; {cure}")

    def _error(self, reason: str, *, kind: str | None = None) -> DataError:
        return DataError(self._path, self._start + 1, reason, kind=kind)

    @property
    def _cure(self) -> str:
        if not self._labelled:
            return "choose one with --field NAME, or --field N in a file without a header"
        return "name yours with --set data.label=NAME --set data.text=NAME, or by number in a file without a header"


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


def _has_quotes(lines: Sequence[str]) -> bool:
    """Return whether the fields of a table with tabs are quoted, as R and pandas write them.

    Either all fields of the first line are in quotes, or one of the first lines has a field with doubled quotes inside,
    or one whose quotes are closed in a later line.
    """
    first = [field for field in lines[0].lstrip("\ufeff").rstrip("\r").split("\t") if field]
    if first and all(len(field) > 1 and field[0] == field[-1] == '"' for field in first):
        return True
    lines = lines[:SEARCHED_LINES]
    width = lines[0].count("\t")
    opened = [
        line.rpartition("\t")[2] for line in lines
    ]  # a field that continues in the next line, which lacks columns
    return any(_DOUBLED_QUOTES.search(line[:_MAX_SEARCHED]) for line in lines) or any(
        field.startswith('"') and field.count('"') % 2 and "\t" in line and after.count("\t") < width
        for field, line, after in zip(opened, lines, lines[1:], strict=False)
    )
