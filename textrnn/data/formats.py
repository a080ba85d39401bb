"""Formats of labelled text: TSV, CSV with a header, JSON Lines and fastText's."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import PurePath
from typing import Any, Literal

from textrnn.config import DataConfig, DataFormat
from textrnn.data.io import decode, read_lines
from textrnn.data.labels import join_labels
from textrnn.errors import DataError, pluralize

FASTTEXT_PREFIX = "__label__"
Labelled = tuple["list[str]", str]  # labels and text
Row = tuple["list[str]", str, int]  # and line

BY_EXTENSION: dict[str, DataFormat] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_COMPRESSED = {".gz", ".xz", ".zst"}

NO_TEXT = "contains no labelled text"
_NAME_THEM = "name label and text with --set data.label=NAME --set data.text=NAME"

OnFault = Callable[[DataError], None]
"""Called with the fault of a line; if it returns, the line is skipped."""


def refuse(fault: DataError) -> None:
    """Raise ``fault``: the default handler, which stops at the first fault."""
    raise fault


@dataclass(frozen=True)
class Example:
    """One text with its label (several labels are joined by tabs), and the line of the file where it starts."""

    label: str
    text: str
    line_number: int


def read_examples(path: str, config: DataConfig) -> list[Example]:
    """Read all examples of the file at ``path`` (``-``: standard input).

    Blank lines are skipped. Line ends inside a text (CSV, JSON Lines) become spaces.

    Raises:
        DataError: at the first fault, with its line.
    """
    lines = read_lines(path)
    head = read_head(lines)
    kind = find_format(path, head, config)
    examples = list(parse_lines(path, chain(head, lines), config, kind=kind))
    if not examples:
        raise DataError(path, None, NO_TEXT)
    return examples


def read_head(lines: Iterable[bytes]) -> list[bytes]:
    """Return ``lines`` up to the first that is not blank, from which the format is detected."""
    head = []
    for line in lines:
        head.append(line)
        if line.strip():
            break
    return head


def find_format(path: str, head: Sequence[bytes], config: DataConfig) -> DataFormat:
    """Return the format of the file with the first lines ``head``, up to the first that is not blank.

    Raises:
        DataError: the file is empty, or the format cannot be detected.
    """
    if not head:
        raise DataError(path, None, "is empty; it needs labelled text")
    if head[0][:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(path, 1, "UTF-16 text; convert the file with iconv -f UTF-16 -t UTF-8")
    return config.format if config.format != "auto" else _detect(path, decode(head[-1]), config)


def find_suffix(path: str) -> str:
    """Return the lowercase extension of the file, ignoring that of a compression."""
    name = PurePath(path)
    return (PurePath(name.stem) if name.suffix in _COMPRESSED else name).suffix.lower()


def detect_table(first: str, columns: Set[str]) -> Literal["tsv", "csv", "jsonl"] | None:
    """Return the format of a table with the first line ``first``; CSV needs ``columns`` in it. None: no table."""
    if first.lstrip().startswith("{"):
        return "jsonl"
    if "\t" in first:
        return "tsv"
    with suppress(csv.Error):
        if columns <= set(next(csv.reader([first]), [])):
            return "csv"
    return None


def parse_lines(
    path: str,
    lines: Iterable[bytes],
    config: DataConfig,
    *,
    kind: DataFormat,
    start: int = 1,
    on_fault: OnFault = refuse,
) -> Iterator[Example]:
    """Yield the examples of ``lines``; the first of them is line ``start`` of the file.

    Raises:
        DataError: at the first fault, with its line, unless ``on_fault`` returns; a CSV header lacks a column.
    """
    texts = _decode(path, lines, start, on_fault=on_fault)
    if kind == "csv":  # always starts at line 1
        rows = _read_csv(path, texts, config, on_fault=on_fault)
    else:
        parse = {"tsv": _parse_tsv, "fasttext": _parse_fasttext, "jsonl": _parse_json}[kind]
        rows = _parse_each(enumerate(texts, start=start), partial(parse, path, config), on_fault)
    for labels, text, number in rows:
        if fault := find_label_fault(labels):
            on_fault(DataError(path, number, fault))
        else:
            yield Example(join_labels(labels), text, number)


def _decode(path: str, lines: Iterable[bytes], start: int, *, on_fault: OnFault) -> Iterator[str]:
    for number, line in enumerate(lines, start=start):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            on_fault(DataError(path, number, "not UTF-8; convert the file, for example with iconv -f CP949 -t UTF-8"))
            text = ""  # a blank line keeps the line count
        yield text


def _detect(path: str, first: str, config: DataConfig) -> DataFormat:
    suffix = find_suffix(path)
    if suffix in BY_EXTENSION:
        return BY_EXTENSION[suffix]
    if first.startswith(FASTTEXT_PREFIX):
        return "fasttext"
    if (table := detect_table(first, {config.label, config.text})) is not None:
        return table
    if not first.strip():
        raise DataError(path, None, NO_TEXT)
    raise DataError(
        path, 1, "unknown format; write label<TAB>text, or set the format with --set data.format=tsv|csv|jsonl|fasttext"
    )


def is_label(text: str) -> bool:
    """Return whether ``text`` can be printed as one field of a line of UTF-8."""
    return bool(text.strip()) and not any(c in "\t\n\r" or "\ud800" <= c <= "\udfff" for c in text)


def find_label_fault(labels: Sequence[str]) -> str | None:
    """Return what is wrong with the labels of one text, or None."""
    if any(not label.strip() for label in labels):
        return "the label is empty" if len(labels) == 1 else "one of the labels is empty"
    if not all(map(is_label, labels)):
        return "the label contains a tab or a line end"
    if len(set(labels)) < len(labels):
        return f"the label '{next(label for label in labels if labels.count(label) > 1)}' occurs twice"
    return None


def _split(field: str, config: DataConfig) -> list[str]:
    if not config.multi_label:
        return [field]
    separator = config.label_separator
    if not field:
        return []
    return [field] if separator is None else field.split(separator)


def _parse_each(
    lines: Iterable[tuple[int, str]], parse: Callable[..., Labelled | None], on_fault: OnFault
) -> Iterator[Row]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = parse(line, number=number)
        except DataError as fault:
            on_fault(fault)
            continue
        if row is not None:
            yield *row, number


def _parse_tsv(path: str, config: DataConfig, line: str, *, number: int) -> Labelled | None:
    label, tab, text = line.partition("\t")
    if not tab:
        raise DataError(path, number, "no tab; write label<TAB>text")
    if number == 1 and (label, text) == (config.label, config.text):
        return None  # a header
    return _split(label, config), text


def _parse_fasttext(path: str, config: DataConfig, line: str, *, number: int) -> Labelled:
    if config.multi_label:
        return _split_prefixed_labels(line)
    label, _, text = line.partition(" ")
    if not label.startswith(FASTTEXT_PREFIX):
        raise DataError(path, number, f"no label; write {FASTTEXT_PREFIX}LABEL text")
    if text.lstrip().startswith(FASTTEXT_PREFIX):
        raise DataError(path, number, "several labels; keep one per line, or use --set data.multi_label=true")
    return [label.removeprefix(FASTTEXT_PREFIX)], text


def _split_prefixed_labels(line: str) -> Labelled:
    labels = []
    while (rest := line.lstrip(" ")).startswith(FASTTEXT_PREFIX):
        label, _, line = rest.partition(" ")
        labels.append(label.removeprefix(FASTTEXT_PREFIX))
    return labels, line


def _read_csv(path: str, lines: Iterator[str], config: DataConfig, *, on_fault: OnFault) -> Iterator[Row]:
    rows = read_rows(path, lines, on_fault)
    _, header = next(((number, row) for number, row in rows if "".join(row).strip()), (1, []))
    label_at, text_at = (_find_column(path, header, name) for name in (config.label, config.text))
    for number, row in rows:
        if not "".join(row).strip() and len(row) < 2:
            continue
        if len(row) != len(header):
            reason = f"{pluralize(len(row), 'column', 'columns')}, but the header has {len(header)}"
            on_fault(DataError(path, number, reason))
            continue
        yield _split(row[label_at], config), join_lines(row[text_at]), number


def read_rows(path: str, lines: Iterator[str], on_fault: OnFault) -> Iterator[tuple[int, list[str]]]:
    """Yield the line where each CSV row starts, and its fields, without reading further lines."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    rows = csv.reader((f"{line}\n" for line in lines), strict=True)
    while True:
        start = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:  # the reader starts a new row at the next line
            more = f" (the row ends in line {rows.line_num})" if rows.line_num > start else ""
            on_fault(DataError(path, start, f"not CSV: {error}{more}"))
            continue
        yield start, row


def _find_column(path: str, header: list[str], name: str) -> int:
    if name in header:
        return header.index(name)
    columns = ", ".join(header) or "no columns"
    raise DataError(path, 1, f"no column '{name}' (the header has {columns}); {_NAME_THEM}")


def parse_object(path: str, line: str, *, number: int, example: str) -> dict[str, Any]:
    """Return the JSON object in ``line``, line ``number`` of the file; the error message shows ``example``.

    Raises:
        DataError: the line is not a JSON object.
    """
    try:
        row = json.loads(line)
    except RecursionError:
        raise DataError(path, number, "not JSON: nested too deeply") from None
    except ValueError as error:  # includes numbers with too many digits
        raise DataError(path, number, f"not JSON: {getattr(error, 'msg', None) or error}") from None
    if not isinstance(row, dict):
        raise DataError(path, number, f"not a JSON object; write one per line, such as {example}")
    return row


def _parse_json(path: str, config: DataConfig, line: str, *, number: int) -> Labelled:
    row = parse_object(path, line, number=number, example='{"label": "a", "text": "b"}')
    read = partial(read_value, path=path, number=number)
    label = _get_key(row, config.label, path=path, number=number)
    if config.multi_label and isinstance(label, list):
        labels = [read(part, config.label) for part in label]
    else:
        labels = _split(read(label, config.label), config)
    return labels, join_lines(read(_get_key(row, config.text, path=path, number=number), config.text))


def _get_key(row: dict[str, Any], name: str, *, path: str, number: int) -> Any:
    if name not in row:
        keys = ", ".join(row) or "none"
        raise DataError(path, number, f"no key '{name}' (the keys are {keys}); {_NAME_THEM}")
    return row[name]


def read_value(value: Any, name: str, *, path: str, number: int) -> str:
    """Return ``value`` as text; raises DataError, naming the key ``name``, unless it is a string or an integer."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(path, number, f"'{name}' is not a string or an integer")
    return str(value).encode("utf-8", errors="replace").decode("utf-8")  # JSON can escape half of a surrogate pair


def join_lines(text: str) -> str:
    """Return ``text`` with spaces for its line ends."""
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
