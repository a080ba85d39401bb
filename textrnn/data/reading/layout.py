"""Layout of a file with one text a record: its format, delimiter, quoting, header and columns."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePath
from typing import Literal

from textrnn.config import DataConfig, DataFormat, as_list
from textrnn.errors import ConfigError, DataError, shorten

FASTTEXT_LABEL = re.compile(r"(?<![^ \t\v\f\r\0])__label__([^ \t\v\f\r\0]*)[ \t\v\f\r\0]*")
"""A label in fastText's format, which only ASCII white space and NUL end, with the space after it."""

BY_EXTENSION: dict[str, DataFormat] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
NO_TEXT = "contains no labelled text"
TEXT, LABEL = "text", "label"

_COMPRESSED = {".gz", ".bz2", ".xz", ".zst"}
_DELIMITERS = ("\t", ",", ";", "|")  # those that are detected
_SHOWN_NAMES = 10
_TABLE_KEYS = ("delimiter", "quoting")
_COLUMN_KEYS = ("label", "text", "group")
_PREAMBLE = re.compile('\ufeff*\\s*("?sep=(.)"?\\s*)?')
"""What can stand before the first record: a blank line, or Excel's line that names the delimiter."""
_DOUBLED_QUOTES = re.compile(r'(^|\t)"([^"\t]|"")*""([^"\t]|"")*"(\t|\r?$)')
_MAX_SEARCHED = 4096  # characters of a line
SEARCHED_LINES = 100
"""The first lines, which tell the quotes and columns of a table."""

Kind = Literal["table", "json", "fasttext"]


@dataclass(frozen=True)
class Layout:
    """How the records of a file are written.

    The columns of a table count from 0: ``text`` and ``label`` may be several, ``group`` is None without data.group.
    ``header`` has the names of the columns, if the file names them, in the lines from ``header_start`` to ``start``,
    where the first record starts; lines count from 0. With ``has_row_names`` the first column has no name in the file.
    Records of a table have ``width`` fields, or at least that many without ``is_exact``; with ``is_pair`` all tabs
    after the first belong to the text. ``is_array``: JSON objects may span lines, or be in an array.
    """

    kind: Kind
    delimiter: str = "\t"
    is_quoted: bool = False
    header: tuple[str, ...] | None = None
    header_start: int = 0
    has_row_names: bool = False
    start: int = 0
    text: tuple[int, ...] = (1,)
    label: tuple[int, ...] = (0,)
    group: int | None = None
    width: int = 2
    is_exact: bool = True
    is_pair: bool = False
    is_array: bool = False

    def fits(self, fields: int) -> bool:
        """Return whether a record of a table may have this number of ``fields``."""
        return fields == self.width or (fields > self.width and not self.is_exact)

    def split_lines(self, lines: Sequence[bytes]) -> list[list[bytes]] | None:
        """Return the fields of each line of a table without quotes; None without lines, or if a line does not fit."""
        delimiter, most = self.delimiter.encode(), 1 if self.is_pair else -1
        records = [line.split(delimiter, most) for line in lines]
        return records if records and all(map(self.fits, set(map(len, records)))) else None

    @property
    def format(self) -> DataFormat:
        """The format as ``data.format`` names it."""
        if self.kind == "table":
            return "tsv" if self.delimiter == "\t" else "csv"
        return "jsonl" if self.kind == "json" else "fasttext"


def name_delimiter(delimiter: str) -> str:
    """Return the delimiter as messages name it."""
    return "tabs" if delimiter == "\t" else repr(delimiter)


def is_preamble(line: str) -> bool:
    """Return whether ``line`` is blank or names the delimiter, so that records start after it."""
    return _PREAMBLE.fullmatch(line) is not None


def is_number(column: str) -> bool:
    """Return whether ``column`` is the number of a column, not a name."""
    return re.fullmatch("0*[1-9][0-9]{0,8}", column) is not None


def is_json(first: str) -> bool:
    """Return whether a text with this first line is JSON: an object, or an array of objects."""
    return re.match(r'\s*(\{\s*(["}]|$)|\[\s*(\{|\]|$))', first) is not None


def list_names(names: Sequence[str]) -> str:
    """Return the first names as a message lists them."""
    shown = ", ".join(map(shorten, names[:_SHOWN_NAMES]))
    return f"{shown}, and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else shown or "none"


def find_suffix(path: str) -> str:
    """Return the lowercase extension of the file, ignoring that of a compression."""
    name = PurePath(path)
    return (PurePath(name.stem) if name.suffix.lower() in _COMPRESSED else name).suffix.lower()


def find_layout(path: str, head: Sequence[str], config: DataConfig, *, labelled: bool = True) -> Layout:
    """Return the layout of the file whose first lines are ``head``, at least up to the first that is no preamble.

    Without ``labelled``, only the text is looked for.

    Raises:
        DataError: the file has no text, its format cannot be detected, or its header lacks a column.
        ConfigError: an option has no effect on the format.
    """
    start = next((number for number, line in enumerate(head) if not is_preamble(line)), None)
    if start is None:
        what = "labelled text" if labelled else "text"
        raise DataError(path, None, f"contains no {what}" if head else f"is empty; it needs {what}")
    named = next((match[2] for match in map(_PREAMBLE.fullmatch, head[:start]) if match and match[2]), None)
    first = head[start].lstrip("\ufeff").rstrip("\r")
    kind = config.format if config.format != "auto" else _detect_format(path, first, config)
    _check_options(path, kind, config, labelled=labelled)
    if kind == "fasttext":
        return Layout("fasttext", start=start)
    if kind == "jsonl":
        return Layout("json", start=start, is_array=_spans_lines(first))
    if config.delimiter is None and named is not None:
        config = config.model_copy(update={"delimiter": named})
    return _Table(path, head[start:], config, labelled=labelled, start=start).find(kind)


def _detect_format(path: str, first: str, config: DataConfig) -> DataFormat:
    """Return the format by the first line; the extension decides only about text that could be several."""
    suffix = BY_EXTENSION.get(find_suffix(path))
    if is_json(first) or (suffix == "jsonl" and not FASTTEXT_LABEL.match(first.lstrip())):
        return "jsonl"
    if FASTTEXT_LABEL.search(first):
        return "fasttext"
    if suffix == "csv" or "\t" not in first:
        return "csv"
    return "tsv"


def _spans_lines(first: str) -> bool:
    """Return whether JSON with this first line is an array, or has objects that span or share lines."""
    if first.lstrip().startswith("["):
        return True
    try:
        json.loads(first)
    except RecursionError:
        return False
    except ValueError as error:
        # cut at its end, or followed by another: any other fault inside the line is one of JSON Lines
        return first[getattr(error, "pos", 0) :].strip()[:1] in ("", ",", "{")
    return False


def _check_options(path: str, kind: DataFormat, config: DataConfig, *, labelled: bool) -> None:
    """Raise ConfigError if a key that the user set has no effect on a file of this format."""
    keys = {"fasttext": (*_TABLE_KEYS, *_COLUMN_KEYS, "label_separator"), "jsonl": _TABLE_KEYS}.get(kind, ())
    without = [] if labelled else [key for key in ("label", "group") if config.is_set(key)]
    names = {"text": "data.text" if labelled else "--field"}
    faults = [
        f"{names.get(key, f'data.{key}')}: no effect on {path}, whose format is {kind}; leave it out"
        for key in keys
        if config.is_set(key)
    ]
    if faults or without:
        raise ConfigError(faults or [f"data.{key}: has no effect here; leave it out" for key in without])
    if config.format == "tsv" and config.delimiter not in (None, "\t"):
        raise ConfigError(f"data.delimiter '{config.delimiter}': the format tsv has tabs; use data.format=csv")


class _Table:
    """The search for the delimiter, the header and the columns of a table."""

    def __init__(self, path: str, lines: Sequence[str], config: DataConfig, *, labelled: bool, start: int) -> None:
        self._path, self._lines, self._config, self._start = path, lines, config, start
        self._first = lines[0].lstrip("\ufeff").rstrip("\r")
        self._labelled = labelled
        self._texts = as_list(config.text) or [TEXT]
        self._labels = (as_list(config.label) or [LABEL]) if labelled else []
        self._groups = [config.group] if labelled and config.group is not None else []
        given = [*(as_list(config.label) if labelled else []), *as_list(config.text), *self._groups]
        self._asked = list(dict.fromkeys([*given, *self._labels, *self._texts]))
        self._is_named = any(not is_number(name) for name in given)
        self._is_numbered = bool(given) and not self._is_named

    def find(self, kind: DataFormat) -> Layout:
        """Return the layout of the table, whose format is tsv or csv."""
        delimiter = self._find_delimiter(kind)
        is_quoted = self._config.quoting
        if is_quoted is None:
            is_quoted = delimiter != "\t" or _has_quotes(self._lines)
        fields, lines = self._read_first(delimiter, is_quoted=is_quoted)
        has_header = self._is_named or (not self._is_numbered and self._has_names(fields))
        if has_header:
            has_row_names = self._has_row_names(fields, self._lines[lines:], delimiter, is_quoted=is_quoted)
            fields = ["", *fields] if has_row_names else fields
            places = {name: self._find_column(fields, name, delimiter) for name in self._asked}
            table = self._make(places, delimiter=delimiter, is_quoted=is_quoted)
            start = self._start + lines
            return replace(table, width=len(fields), header=tuple(fields), has_row_names=has_row_names, start=start)
        if self._is_numbered:
            defaults = {TEXT: 1, LABEL: 0}
            places = {name: int(name) - 1 if is_number(name) else defaults[name] for name in self._asked}
            table = self._make(places, delimiter=delimiter, is_quoted=is_quoted)
            return replace(table, width=1 + max(places.values()), is_exact=False)
        if delimiter == "\t" and len(fields) > 1 and self._labelled:
            return Layout("table", is_quoted=is_quoted, start=self._start, is_pair=not is_quoted)
        raise self._refuse(fields, delimiter)

    def _make(self, places: dict[str, int], *, delimiter: str, is_quoted: bool) -> Layout:
        if same := {places[name] for name in self._labels} & {places[name] for name in self._texts}:
            reason = f"label and text are both column {1 + min(same)}; {self._cure}"
            raise DataError(self._path, self._start + 1, reason)
        return Layout(
            "table",
            delimiter=delimiter,
            is_quoted=is_quoted,
            header_start=self._start,
            start=self._start,
            text=tuple(places[name] for name in self._texts),
            label=tuple(places[name] for name in self._labels),
            group=places[self._groups[0]] if self._groups else None,
        )

    def _find_delimiter(self, kind: DataFormat) -> str:
        """Return the delimiter whose columns have the names that are looked for, or that gives most columns."""
        if self._config.delimiter is not None:
            return self._config.delimiter
        if kind == "tsv" and self._config.format == "tsv":
            return "\t"
        candidates = ["\t", *[c for c in _DELIMITERS if c != "\t"]] if kind == "tsv" else [",", ";", "\t", "|"]
        best = max(candidates, key=lambda c: 0 if self._is_numbered else self._count_names(_split(self._first, c)))
        if not self._is_numbered and self._count_names(_split(self._first, best)):
            return best
        return "\t" if kind == "tsv" else max(candidates, key=self._count_fields)

    def _count_names(self, fields: Sequence[str]) -> int:
        """Return the number of names that are looked for among ``fields``."""
        names = [fold(field) for field in fields]
        return sum(fold(name) in names for name in self._asked if not is_number(name))

    def _count_fields(self, delimiter: str) -> tuple[int, int]:
        """Return the number of fields that all of the first lines have, or 1; and that of the first line."""
        sizes = {len(_split(line, delimiter)) for line in self._lines[:SEARCHED_LINES] if line.strip()}
        return (sizes.pop() if len(sizes) == 1 else 1, len(_split(self._first, delimiter)))

    def _has_row_names(self, header: Sequence[str], lines: Sequence[str], delimiter: str, *, is_quoted: bool) -> bool:
        """Return whether the first column, of rising numbers, has no name: so R writes the numbers of rows.

        A record without quotes may also have one column more for a delimiter inside the text, unless that is a tab.
        """
        lines = [line for line in lines[:SEARCHED_LINES] if line.strip()]
        if delimiter != "\t" and not all(line.startswith('"') for line in lines[:1]):
            return False
        try:
            rows = (
                list(csv.reader(lines, delimiter=delimiter)) if is_quoted else [line.split(delimiter) for line in lines]
            )
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

    def _has_names(self, fields: Sequence[str]) -> bool:
        names = [fold(field) for field in fields]
        return all(fold(name) in names for name in self._asked if not is_number(name))

    def _read_first(self, delimiter: str, *, is_quoted: bool) -> tuple[list[str], int]:
        """Return the fields of the first record, and its number of lines."""
        if not is_quoted:
            return self._first.split(delimiter), 1
        reader = csv.reader((f"{line}\n" for line in [self._first, *self._lines[1:]]), delimiter=delimiter, strict=True)
        try:
            return next(reader), reader.line_num
        except csv.Error as error:
            raise DataError(self._path, self._start + 1, describe_csv_error(error)) from None

    def _find_column(self, header: Sequence[str], name: str, delimiter: str) -> int:
        """Return the index of a column: by its exact name, in any case, or by its number."""
        if header.count(name) > 1:
            raise DataError(self._path, self._start + 1, f"several columns are named '{shorten(name)}'; rename one")
        if name in header:
            return header.index(name)
        folded = [fold(field) for field in header]
        if folded.count(fold(name)) == 1:
            return folded.index(fold(name))
        if is_number(name) and int(name) <= len(header):
            return int(name) - 1
        raise self._missing_column(header, name, delimiter)

    def _missing_column(self, header: Sequence[str], name: str, delimiter: str) -> DataError:
        found = f"no column '{shorten(name)}'; the columns are {list_names(header)}"
        if delimiter not in (",", "\t"):
            found = f"fields are divided by '{delimiter}'; {found}"
        return DataError(self._path, self._start + 1, f"{found}; {self._cure}", kind="no such column")

    def _refuse(self, fields: Sequence[str], delimiter: str) -> DataError:
        """Return the error for a first line that is neither a header nor a record."""
        is_named = self._config.format != "auto" or self._config.delimiter is not None
        is_table = is_named or BY_EXTENSION.get(find_suffix(self._path)) in ("csv", "tsv")
        if is_table or (len(self._lines) > 2 and self._count_fields(delimiter)[0] > 1):
            missing = next((name for name in self._asked if fold(name) not in map(fold, fields)), self._asked[0])
            return self._missing_column(fields, missing, delimiter)
        cure = "write label<TAB>text, or set the format with --set data.format=tsv|csv|jsonl|fasttext"
        if not self._labelled:
            cure = "set the format with --input-format tsv|csv|jsonl"
        return DataError(self._path, self._start + 1, f"unknown format; {cure}")

    @property
    def _cure(self) -> str:
        if not self._labelled:
            return "choose one with --field NAME, or --field N in a file without a header"
        return "name yours with --set data.label=NAME --set data.text=NAME, or by number in a file without a header"


def describe_csv_error(error: csv.Error, where: str = "") -> str:
    """Return what is wrong with a record in CSV, ``where`` it is, and the cure."""
    if "new-line" in str(error):
        return f"not CSV: a CR inside a record{where}; if lines end in it, convert them with: tr '\\r' '\\n'"
    return f"not CSV: {error}{where}; write quotes inside a field twice, or use --set data.quoting=false"


def fold(name: str) -> str:
    """Return ``name`` as names of columns are compared."""
    return name.strip().casefold()


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
    opened = [line.rpartition("\t")[2] for line in lines]  # a field that goes on in the next line, which lacks columns
    return any(_DOUBLED_QUOTES.search(line[:_MAX_SEARCHED]) for line in lines) or any(
        field.startswith('"') and field.count('"') % 2 and "\t" in line and after.count("\t") < width
        for field, line, after in zip(opened, lines, lines[1:], strict=False)
    )
