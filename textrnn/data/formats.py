"""Labelled text: TSV, CSV with a header, JSON Lines and fastText's format, read into examples."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePath
from typing import Any, Literal

from textrnn.config import DataConfig, DataFormat
from textrnn.data.io import decode, read_lines
from textrnn.data.labels import join_labels
from textrnn.errors import DataError, pluralize

FASTTEXT_PREFIX = "__label__"
Found = tuple["list[str]", str, int]  # labels, text, line

BY_EXTENSION: dict[str, DataFormat] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_COMPRESSED = {".gz", ".xz", ".zst"}

OnFault = Callable[[DataError], None]
"""Called with the fault of a line; where it returns, the line is passed over and the reading goes on."""


def refuse(fault: DataError) -> None:
    """Raise ``fault``: what is done with the first one, unless all are wanted."""
    raise fault


@dataclass(frozen=True)
class Example:
    """One text with its label, and the line of the file where it starts; several labels are joined by tabs."""

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
    head = take_head(lines)
    kind = find_format(path, head, config)
    examples = list(parse_lines(path, chain(head, lines), config, kind=kind))
    if not examples:
        raise DataError(path, None, "holds no labelled text")
    return examples


def take_head(lines: Iterable[bytes]) -> list[bytes]:
    """Return the first of ``lines``, up to the first that is not blank: what tells the format."""
    head = []
    for line in lines:
        head.append(line)
        if line.strip():
            break
    return head


def find_format(path: str, head: Sequence[bytes], config: DataConfig) -> DataFormat:
    """Return the format of the file whose first lines are ``head``, up to the first that is not blank.

    Raises:
        DataError: there is no line, or the format cannot be told.
    """
    if not head:
        raise DataError(path, None, "empty; it should hold labelled text")
    if head[0][:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(path, 1, "UTF-16 text; convert it first, as with iconv -f UTF-16 -t UTF-8")
    return config.format if config.format != "auto" else _detect(path, decode(head[-1]), config)


def find_suffix(path: str) -> str:
    """Return the extension that tells the format: the one before that of a compression, in small letters."""
    name = PurePath(path)
    return (PurePath(name.stem) if name.suffix in _COMPRESSED else name).suffix.lower()


def tell_table(first: str, columns: Set[str]) -> Literal["tsv", "csv", "jsonl"] | None:
    """Return what the line ``first`` says of a table whose header, if it is CSV, has ``columns``; None: nothing."""
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
    """Yield the examples of ``lines``, the first of which is line ``start`` of the file.

    Raises:
        DataError: at the first fault, with its line, unless ``on_fault`` takes it; a CSV header lacks a column.
    """
    texts = _decode(path, lines, start, on_fault=on_fault)
    if kind == "tsv":
        found = _read_tsv(path, texts, config, start=start, on_fault=on_fault)
    elif kind == "fasttext":
        found = _read_fasttext(path, texts, config, start=start, on_fault=on_fault)
    else:  # what they read begins with the file
        found = (_read_csv if kind == "csv" else _read_jsonl)(path, texts, config, on_fault=on_fault)
    for labels, text, number in found:
        if fault := find_fault(labels):
            on_fault(DataError(path, number, fault))
        else:
            yield Example(join_labels(labels), text, number)


def _decode(path: str, lines: Iterable[bytes], start: int, *, on_fault: OnFault) -> Iterator[str]:
    for number, line in enumerate(lines, start=start):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            on_fault(DataError(path, number, "not UTF-8; convert the file, as with iconv -f CP949 -t UTF-8"))
            text = ""  # a blank line, which keeps the count
        yield text


def _detect(path: str, first: str, config: DataConfig) -> DataFormat:
    suffix = find_suffix(path)
    if suffix in BY_EXTENSION:
        return BY_EXTENSION[suffix]
    if first.startswith(FASTTEXT_PREFIX):
        return "fasttext"
    if (table := tell_table(first, {config.label, config.text})) is not None:
        return table
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


def find_fault(labels: Sequence[str]) -> str | None:
    """Return what is wrong with the labels of one text."""
    if any(not label.strip() for label in labels):
        return "the label is empty" if len(labels) == 1 else "one of the labels is empty"
    if not all(map(is_label, labels)):
        return "the label holds a tab or a line end"
    if len(set(labels)) < len(labels):
        return f"the label '{next(label for label in labels if labels.count(label) > 1)}' stands twice"
    return None


def _split(field: str, config: DataConfig) -> list[str]:
    """Return the labels that a field holds: an empty one holds none, where a text may have none."""
    if not config.multi_label:
        return [field]
    separator = config.label_separator
    if not field:
        return []
    return [field] if separator is None else field.split(separator)


def _read_tsv(path: str, lines: Iterator[str], config: DataConfig, *, start: int, on_fault: OnFault) -> Iterator[Found]:
    for number, line in enumerate(lines, start=start):
        if not line.strip():
            continue
        label, tab, text = line.partition("\t")
        if not tab:
            on_fault(DataError(path, number, "no tab; write label<TAB>text"))
            continue
        if number == 1 and (label, text) == (config.label, config.text):
            continue  # a header
        yield _split(label, config), text, number


def _read_fasttext(
    path: str, lines: Iterator[str], config: DataConfig, *, start: int, on_fault: OnFault
) -> Iterator[Found]:
    for number, line in enumerate(lines, start=start):
        if not line.strip():
            continue
        if config.multi_label:
            yield *_take_labels(line), number
            continue
        label, _, text = line.partition(" ")
        if not label.startswith(FASTTEXT_PREFIX):
            on_fault(DataError(path, number, f"does not start with {FASTTEXT_PREFIX}"))
        elif text.lstrip().startswith(FASTTEXT_PREFIX):
            on_fault(
                DataError(path, number, "more than one label; keep one a line, or say --set data.multi_label=true")
            )
        else:
            yield [label.removeprefix(FASTTEXT_PREFIX)], text, number


def _take_labels(line: str) -> tuple[list[str], str]:
    """Return the labels that ``line`` begins with, of which there may be none, and the rest."""
    labels = []
    while (rest := line.lstrip(" ")).startswith(FASTTEXT_PREFIX):
        label, _, line = rest.partition(" ")
        labels.append(label.removeprefix(FASTTEXT_PREFIX))
    return labels, line


def _read_csv(path: str, lines: Iterator[str], config: DataConfig, *, on_fault: OnFault) -> Iterator[Found]:
    rows = read_rows(path, lines, on_fault)
    _, header = next(((number, row) for number, row in rows if "".join(row).strip()), (1, []))
    label_at, text_at = (_find_column(path, header, name) for name in (config.label, config.text))
    for number, row in rows:
        if not "".join(row).strip() and len(row) < 2:
            continue
        if len(row) != len(header):
            on_fault(
                DataError(
                    path, number, f"{pluralize(len(row), 'column', 'columns')} where the header has {len(header)}"
                )
            )
            continue
        yield _split(row[label_at], config), join_lines(row[text_at]), number


def read_rows(path: str, lines: Iterator[str], on_fault: OnFault) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of CSV with the lines where they start; they come as soon as their lines."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    rows = csv.reader((f"{line}\n" for line in lines), strict=True)
    while True:
        start = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:  # the reader begins anew with the next line
            more = f" (the row goes on to line {rows.line_num})" if rows.line_num > start else ""
            on_fault(DataError(path, start, f"not CSV: {error}{more}"))
            continue
        yield start, row


def _find_column(path: str, header: list[str], name: str) -> int:
    if name in header:
        return header.index(name)
    shown = ", ".join(header) or "nothing"
    raise DataError(
        path,
        1,
        f"no column '{name}' (the header has {shown}); name the columns with --set data.label=... --set data.text=...",
    )


def _read_jsonl(path: str, lines: Iterator[str], config: DataConfig, *, on_fault: OnFault) -> Iterator[Found]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            example = _parse_json(path, line, config, number=number)
        except DataError as fault:
            on_fault(fault)
            continue
        yield example


def parse_object(path: str, line: str, *, number: int, example: str) -> dict[str, Any]:
    """Return the JSON object that ``line`` holds, line ``number`` of the file; ``example`` is what it should look like.

    Raises:
        DataError: it holds no such thing.
    """
    try:
        row = json.loads(line)
    except RecursionError:
        raise DataError(path, number, "not JSON: nested too deeply") from None
    except ValueError as error:  # also a number with too many digits
        raise DataError(path, number, f"not JSON: {getattr(error, 'msg', None) or error}") from None
    if not isinstance(row, dict):
        raise DataError(path, number, f"not a JSON object; write one a line, as in {example}")
    return row


def _parse_json(path: str, line: str, config: DataConfig, *, number: int) -> Found:
    row = parse_object(path, line, number=number, example='{"label": "a", "text": "b"}')
    label = _take(row, config.label, path=path, number=number)
    if config.multi_label and isinstance(label, list):
        labels = [read_value(part, config.label, path=path, number=number) for part in label]
    else:
        labels = _split(read_value(label, config.label, path=path, number=number), config)
    text = read_value(_take(row, config.text, path=path, number=number), config.text, path=path, number=number)
    return labels, join_lines(text), number


def _take(row: dict[str, Any], name: str, *, path: str, number: int) -> Any:
    if name not in row:
        shown = ", ".join(row) or "none"
        raise DataError(
            path,
            number,
            f"no key '{name}' (the keys are {shown}); name them with --set data.label=... --set data.text=...",
        )
    return row[name]


def read_value(value: Any, name: str, *, path: str, number: int) -> str:
    """Return the ``value`` of the key ``name``, which is a string or a whole number; raises DataError for others."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(path, number, f"'{name}' is not a string or a whole number")
    return str(value).encode("utf-8", errors="replace").decode("utf-8")  # JSON can escape halves of characters


def join_lines(text: str) -> str:
    """Return ``text`` with blanks for its line ends."""
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
