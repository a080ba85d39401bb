"""Labelled text: TSV, CSV with a header, JSON Lines and fastText's format, read into examples."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePath
from typing import Any

from textrnn.config import DataConfig, DataFormat
from textrnn.corpus.reading import decode, read_lines
from textrnn.errors import DataError

FASTTEXT_PREFIX = "__label__"

_BY_EXTENSION: dict[str, DataFormat] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_COMPRESSED = {".gz", ".xz", ".zst"}


@dataclass(frozen=True)
class Example:
    """One text with its label, and the line of the file where it starts."""

    label: str
    text: str
    line_number: int


def read_examples(path: str, config: DataConfig) -> list[Example]:
    """Read every example of the file at ``path`` (``-``: standard input).

    Blank lines are passed over. Line ends inside a text (CSV, JSON Lines) become blanks.

    Raises:
        DataError: at the first fault, with its line.
    """
    lines = read_lines(path)
    first = next(lines, None)
    if first is None:
        raise DataError(path, None, "empty; it should hold labelled text")
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(path, 1, "UTF-16 text; convert it first, as with iconv -f UTF-16 -t UTF-8")
    blank = []
    while not first.strip() and (following := next(lines, None)) is not None:
        blank.append(first)
        first = following
    kind = config.format if config.format != "auto" else _detect(path, decode(first), config)
    texts = _decode(path, chain(blank, [first], lines))
    readers = {"tsv": _read_tsv, "csv": _read_csv, "jsonl": _read_jsonl, "fasttext": _read_fasttext}
    examples = [_check(path, example) for example in readers[kind](path, texts, config)]
    if not examples:
        raise DataError(path, None, "holds no labelled text")
    return examples


def _decode(path: str, lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            raise DataError(path, number, "not UTF-8; convert the file, as with iconv -f CP949 -t UTF-8") from None


def _detect(path: str, first: str, config: DataConfig) -> DataFormat:
    name = PurePath(path)
    suffix = (PurePath(name.stem) if name.suffix in _COMPRESSED else name).suffix.lower()
    if suffix in _BY_EXTENSION:
        return _BY_EXTENSION[suffix]
    if first.startswith(FASTTEXT_PREFIX):
        return "fasttext"
    if first.lstrip().startswith("{"):
        return "jsonl"
    if "\t" in first:
        return "tsv"
    if {config.label, config.text} <= set(next(csv.reader([first]), [])):
        return "csv"
    if not first.strip():
        raise DataError(path, None, "holds no labelled text")
    raise DataError(
        path,
        1,
        "cannot tell the format from the extension or this line; "
        "write label<TAB>text, or say --set data.format=tsv|csv|jsonl|fasttext",
    )


def is_label(text: str) -> bool:
    """Whether ``text`` can be printed as one field of a line of UTF-8."""
    return bool(text.strip()) and not any(character in text for character in "\t\n\r") and _is_unicode(text)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _check(path: str, example: Example) -> Example:
    if not example.label.strip():
        raise DataError(path, example.line_number, "the label is empty")
    if not is_label(example.label):
        raise DataError(path, example.line_number, "the label holds a tab or a line end")
    return example


def _read_tsv(path: str, lines: Iterator[str], config: DataConfig) -> Iterator[Example]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        label, tab, text = line.partition("\t")
        if not tab:
            raise DataError(path, number, "no tab; write label<TAB>text")
        if number == 1 and (label, text) == (config.label, config.text):
            continue  # a header
        yield Example(label, text, number)


def _read_fasttext(path: str, lines: Iterator[str], config: DataConfig) -> Iterator[Example]:
    del config
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        label, _, text = line.partition(" ")
        if not label.startswith(FASTTEXT_PREFIX):
            raise DataError(path, number, f"does not start with {FASTTEXT_PREFIX}")
        if text.lstrip().startswith(FASTTEXT_PREFIX):
            raise DataError(path, number, "more than one label; keep one a line")
        yield Example(label.removeprefix(FASTTEXT_PREFIX), text, number)


def _read_csv(path: str, lines: Iterator[str], config: DataConfig) -> Iterator[Example]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    rows = csv.reader((f"{line}\n" for line in lines), strict=True)
    try:
        header = next((row for row in rows if "".join(row).strip()), [])
        label_at, text_at = (_find_column(path, header, name) for name in (config.label, config.text))
        for row in rows:
            if not "".join(row).strip() and len(row) < 2:
                continue
            number = rows.line_num - sum(field.count("\n") for field in row)
            if len(row) != len(header):
                raise DataError(path, number, f"{len(row)} columns where the header has {len(header)}")
            yield Example(row[label_at], _join_lines(row[text_at]), number)
    except csv.Error as error:
        raise DataError(path, rows.line_num, f"not CSV: {error}") from None


def _find_column(path: str, header: list[str], name: str) -> int:
    if name in header:
        return header.index(name)
    shown = ", ".join(header) or "nothing"
    raise DataError(
        path, 1, f"no column '{name}' (the header has {shown}); name the columns with data.label and data.text"
    )


def _read_jsonl(path: str, lines: Iterator[str], config: DataConfig) -> Iterator[Example]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except RecursionError:
            raise DataError(path, number, "not JSON: nested too deeply") from None
        except ValueError as error:  # also a number with too many digits
            raise DataError(path, number, f"not JSON: {getattr(error, 'msg', None) or error}") from None
        if not isinstance(row, dict):
            raise DataError(path, number, 'not a JSON object; write one a line, as in {"label": "a", "text": "b"}')
        yield Example(
            _take(row, config.label, path=path, number=number),
            _join_lines(_take(row, config.text, path=path, number=number)),
            number,
        )


def _take(row: dict[str, Any], name: str, *, path: str, number: int) -> str:
    if name not in row:
        shown = ", ".join(row) or "none"
        raise DataError(
            path, number, f"no key '{name}' (the keys are {shown}); name them with data.label and data.text"
        )
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(path, number, f"'{name}' is not a string or a whole number")
    return str(value).encode("utf-8", errors="replace").decode("utf-8")  # JSON can escape halves of characters


def _join_lines(text: str) -> str:
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
