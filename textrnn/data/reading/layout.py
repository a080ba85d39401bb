"""Layout of a file with one text a record: its format, delimiter, quoting, header and columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from textrnn.config import DataFormat
from textrnn.data.reading.file_kinds import COMPRESSED_SUFFIXES
from textrnn.errors import shorten

FASTTEXT_LABEL = re.compile(r"(?<![^ \t\v\f\r\0])__label__([^ \t\v\f\r\0]*)[ \t\v\f\r\0]*")
"""A label in fastText's format, which only ASCII white space and NUL end, with the space after it."""

BY_EXTENSION: dict[str, DataFormat] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
TEXT, LABEL = "text", "label"
SEARCHED_LINES = 100
"""The first lines, which tell the quotes and columns of a table."""

_SHOWN_NAMES = 10

Kind = Literal["table", "json", "fasttext"]


@dataclass(frozen=True)
class Layout:
    """How the records of a file are written.

    The columns of a table count from 0: ``text`` and ``label`` may be several, ``group`` and ``weight`` are one
    or none.
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
    group: tuple[int, ...] = ()
    weight: tuple[int, ...] = ()
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
    return (PurePath(name.stem) if name.suffix.lower() in COMPRESSED_SUFFIXES else name).suffix.lower()


def describe_csv_error(error: csv.Error, where: str = "") -> str:
    """Return what is wrong with a record in CSV, ``where`` it is, and the cure."""
    if "new-line" in str(error):
        return f"not CSV: a CR inside a record{where}; if lines end in it, convert them with: tr '\\r' '\\n'"
    return f"not CSV: {error}{where}; write quotes inside a field twice, or use --set data.quoting=false"


def fold(name: str) -> str:
    """Return ``name`` as names of columns are compared."""
    return name.strip().casefold()
