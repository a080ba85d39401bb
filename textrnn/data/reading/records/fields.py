"""The labels and the text in one record: fields of a table, a JSON object, or a line in fastText's format."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from textrnn.config import DataConfig, as_list
from textrnn.data.labels import find_label_fault
from textrnn.data.reading.layout import FASTTEXT_LABEL, LABEL, TEXT, Layout, list_names, name_delimiter
from textrnn.data.reading.records.number_fields import find_labels, read_distribution, read_number
from textrnn.data.reading.records.selection import Distribution, FaultError, Selection
from textrnn.errors import pluralize, shorten

JSON = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None)
"""Decodes numbers as text, and NaN as null."""

_TRUE, _FALSE = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no", ""})
_SKIP = "skip such records with --on-error skip (train, data split: --set data.on_error=skip)"
_ROWS = "write an object for each text, as pandas does with to_json(orient='records', lines=True)"
_NAME_KEYS = "name the keys with --set data.label=NAME --set data.text=NAME"
_ABSENT = object()
_find_label_fault = lru_cache(find_label_fault)


Fields = list[str] | dict[str, Any] | tuple[list[str], str]
"""A record: fields of a table, a JSON object, or the labels and the text of a line in fastText's format."""

RawRecord = tuple[int, bytes, Fields | FaultError]
"""The line where a record starts, its bytes, and the record, or its fault."""


class RecordFields:
    """Finds text, labels and group in the records of one file."""

    def __init__(self, layout: Layout, config: DataConfig, *, labelled: bool) -> None:
        self._layout, self._config, self._labelled = layout, config, labelled
        self._texts = as_list(config.text) or [TEXT]
        self._labels = config.label_names or [LABEL]
        self._groups, self._weights = as_list(config.group), as_list(config.weight)

    def select(self, record: Any) -> Selection:
        """Return what is read of a record; without ``labelled`` only the text.

        Raises:
            FaultError: the record lacks something.
        """
        kind = self._layout.kind
        if kind == "fasttext":
            return self._select_fasttext(*record)
        if kind == "table":
            self._check_width(record)
        if not self._labelled:
            return Selection(self._find_text(record), [])
        labels, distribution = self._find_labels(record)
        rest = Selection("", labels, self._find_group(record), distribution, self._find_weight(record))
        try:
            return rest._replace(text=self._find_text(record))
        except FaultError as fault:
            fault.rest = rest
            raise

    def _select_fasttext(self, labels: list[str], text: str) -> Selection:
        if len(labels) != 1 and not self._config.multi_label:
            several = "several labels; keep one per line, or use --set data.multi_label=true"
            raise FaultError(several if labels else "no label; write __label__LABEL text")
        if self._config.target == "score":
            read_number(labels[0], LABEL, least=-math.inf)
        return Selection(text, _check_labels(labels))

    def _check_width(self, fields: list[str]) -> None:
        layout = self._layout
        if layout.fits(len(fields)):
            return
        count = pluralize(len(fields), "column", "columns")
        if layout.is_pair:
            raise FaultError("no tab; write label<TAB>text")
        kind = "too few columns" if len(fields) < layout.width else "too many columns"
        if layout.header is None:
            raise FaultError(f"has {count}, but needs {layout.width}", kind=kind)
        cure = ""
        if layout.is_quoted and len(fields) > layout.width:
            cure = f"; a field with {name_delimiter(layout.delimiter)} needs quotes around it"
        elif not layout.is_quoted and any('"' in field for field in fields):
            cure = "; a field with tabs or line ends needs --set data.quoting=true"
        raise FaultError(f"has {count}, but the header has {layout.width}{cure}", kind=kind)

    def _find_labels(self, record: Any) -> tuple[list[str], Distribution | None]:
        values, config = self._find(record, self._layout.label, self._labels), self._config
        if config.label_columns is not None:
            return self._select_distribution(zip(self._labels, values, strict=True))
        if isinstance(config.label, list):
            return _check_labels(_list_marked(self._labels, values)), None
        value, name = values[0], self._labels[0]
        if config.target == "score":
            read_number(value, name, least=-math.inf)
        if isinstance(value, dict):
            self._refuse_columns(record)
            return self._select_distribution(value.items())
        return _check_labels(self._list_labels(value, name)), None

    def _refuse_columns(self, record: Any) -> None:
        """Raise FaultError if the text is an object too, as in a file of columns that pandas writes."""
        for value, name in zip(self._find(record, self._layout.text, self._texts), self._texts, strict=True):
            if isinstance(value, dict):
                _to_text(value, name)

    def _select_distribution(self, pairs: Iterable[tuple[str, Any]]) -> tuple[list[str], Distribution]:
        distribution = read_distribution(pairs, multi_label=self._config.multi_label)
        _check_labels(list(distribution))
        return find_labels(distribution, multi_label=self._config.multi_label), distribution

    def _list_labels(self, value: Any, name: str) -> list[str]:
        """Return the labels in a field or in the value of a key."""
        config = self._config
        if not isinstance(value, list):
            return _split_labels(_to_text(value, name), config)
        if not config.multi_label:
            name = shorten(name)
            raise FaultError(f"'{name}' is a list; texts with several labels need --set data.multi_label=true")
        return [_to_text(label, name) for label in value]

    def _find_weight(self, record: Any) -> float:
        if not self._weights:
            return 1.0
        return read_number(self._find(record, self._layout.weight, self._weights)[0], self._weights[0])

    def _find_group(self, record: Any) -> str:
        if not self._groups:
            return ""
        return _to_text(self._find(record, self._layout.group, self._groups)[0], self._groups[0])

    def _find_text(self, record: Any) -> str:
        layout = self._layout
        values = self._find(record, layout.text, self._texts)
        if layout.kind == "json":
            values = list(map(_to_text, values, self._texts))
        text = values[0] if len(values) == 1 else " ".join(values)
        has_ends = (layout.is_quoted or layout.kind == "json") and ("\n" in text or "\r" in text)
        return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ") if has_ends else text

    def _find(self, record: Any, columns: Sequence[int], names: Sequence[str]) -> list[Any]:
        """Return the fields of a table in ``columns``, or the values of an object's keys ``names``."""
        if self._layout.kind == "table":
            return [record[at] for at in columns]
        return [record[name] if name in record else self._search(record, name) for name in names]

    def _search(self, record: dict[str, Any], name: str) -> Any:
        """Return the value at the path of keys a.b, or of the only key that is ``name`` in another case."""
        value: Any = record
        for key in name.split("."):
            value = value.get(key, _ABSENT) if isinstance(value, dict) else _ABSENT
        if value is not _ABSENT:
            return value
        same = [key for key in record if key.strip().casefold() == name.casefold()]
        if len(same) == 1:
            return record[same[0]]
        cure = _find_records(record) or (_NAME_KEYS if self._labelled else "choose one with --field NAME")
        raise FaultError(f"no key '{shorten(name)}'; the keys are {list_names(list(record))}; {cure}")


def _find_records(row: dict[str, Any]) -> str | None:
    """Return the cure if all records are inside one object, or None."""
    if row.keys() >= {"columns", "data"}:  # orient='split' of pandas
        return _ROWS
    for key, value in row.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return f"write the records inside alone, with: jq -c '.{key}[]' FILE"
    return None


def _to_text(value: Any, name: str) -> str:
    if isinstance(value, str):  # JSON can escape half of a surrogate pair
        return value if value.isascii() else value.encode("utf-8", errors="replace").decode("utf-8")
    if isinstance(value, bool):
        return str(value).lower()
    kind = "null" if value is None else "a list" if isinstance(value, list) else "an object"
    cure = _SKIP if value is None else _ROWS
    raise FaultError(f"'{shorten(name)}' is {kind}, not a text; {cure}")


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object in a line, its numbers as text; raises FaultError."""
    try:
        row = JSON.decode(text)
    except RecursionError:
        raise FaultError("not JSON: nested too deeply") from None
    except ValueError as error:
        raise FaultError(f"not JSON: {getattr(error, 'msg', None) or error}", kind="not JSON") from None
    if not isinstance(row, dict):
        raise FaultError('not a JSON object; write one per line, such as {"label": "a", "text": "b"}')
    return row


def split_fasttext(line: str) -> tuple[list[str], str]:
    """Return the labels, wherever they are, and the rest of ``line``, a line in fastText's format."""
    return FASTTEXT_LABEL.findall(line), FASTTEXT_LABEL.sub("", line).lstrip(" \t\v\f\r\0")


def split_fasttext_lines(lines: Sequence[bytes]) -> list[list[bytes]] | None:
    """Return the label and the text of each line in fastText's format; None if one has no label, or several."""
    records = [line.split(None, 1) for line in lines]
    joined, prefix = b"\n".join(lines), b"__label__"
    is_plain = joined.count(prefix) == len(lines) and b"\0" not in joined and set(map(len, records)) == {2}
    if not is_plain or not all(label.startswith(prefix) for label, _ in records):
        return None
    return [[label[len(prefix) :], text] for label, text in records]


def _split_labels(field: str, config: DataConfig) -> list[str]:
    """Return the labels in a field, in the order of the file."""
    if not config.multi_label:
        return [field]
    if not field:
        return []
    return [field] if config.label_separator is None else field.split(config.label_separator)


def _list_marked(names: Sequence[str], values: Sequence[Any]) -> list[str]:
    """Return the names of the 0/1 columns that are 1; what is empty or null is 0."""
    labels = []
    for name, value in zip(names, values, strict=True):
        mark = "" if value is None else _to_text(value, name).strip().lower()
        if mark in _TRUE:
            labels.append(name)
        elif mark not in _FALSE:
            kind = f"column '{shorten(name)}' should be 0 or 1"
            raise FaultError(f"{kind}, not '{shorten(mark)}'", kind=kind)
    return labels


def _check_labels(labels: list[str]) -> list[str]:
    if fault := _find_label_fault(tuple(labels)):  # most labels were checked before
        raise FaultError(fault)
    return labels
