"""Detection of a file's layout by its first lines, its extension and the config."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from textrnn.config import DataConfig, DataFormat
from textrnn.data.reading.layout import BY_EXTENSION, FASTTEXT_LABEL, Layout, find_suffix, is_json
from textrnn.data.reading.table_layout import TableSearch
from textrnn.errors import ConfigError, DataError

_TABLE_KEYS = ("delimiter", "quoting")
_COLUMN_KEYS = ("label", "label_columns", "text", "group", "weight")
_PREAMBLE = re.compile('\ufeff*\\s*("?sep=(.)"?\\s*)?')
"""What can stand before the first record: a blank line, or Excel's line that names the delimiter."""


class EmptyFileError(DataError):
    """A file without records."""


def is_preamble(line: str) -> bool:
    """Return whether ``line`` is blank or names the delimiter, so that records start after it."""
    return _PREAMBLE.fullmatch(line) is not None


def find_layout(path: str, head: Sequence[str], config: DataConfig, *, labelled: bool = True) -> Layout:
    """Return the layout of the file whose first lines are ``head``, at least up to the first that is no preamble.

    Without ``labelled``, only the text is looked for.

    Raises:
        EmptyFileError: the file has no text.
        DataError: its format cannot be detected, or its header lacks a column.
        ConfigError: an option has no effect on the format.
    """
    start = next((number for number, line in enumerate(head) if not is_preamble(line)), None)
    if start is None:
        what = "labelled text" if labelled else "text"
        raise EmptyFileError(path, None, f"contains no {what}" if head else f"is empty; it needs {what}")
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
    return TableSearch(path, head[start:], config, kind=kind, labelled=labelled, start=start).find()


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
    names = {"text": "data.text" if labelled else "--field"}
    faults = [
        f"{names.get(key, f'data.{key}')}: no effect on {path}, whose format is {kind}; leave it out"
        for key in keys
        if config.is_set(key)
    ]
    if faults:
        raise ConfigError(faults)
    if config.format == "tsv" and config.delimiter not in (None, "\t"):
        raise ConfigError(f"data.delimiter '{config.delimiter}': the format tsv has tabs; use data.format=csv")
