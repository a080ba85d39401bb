"""The labels and the text in one record: fields of a table, a JSON object, or a line in fastText's format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from textrnn.config import DataConfig, as_list
from textrnn.data.labels import find_label_fault
from textrnn.data.layout import FASTTEXT_LABEL, LABEL, TEXT, Layout, list_names
from textrnn.errors import pluralize, shorten

_TRUE, _FALSE = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no", ""})
_SKIP = "skip such records with --on-error skip (train, data split: --set data.on_error=skip)"
_ROWS = "write an object for each text, as pandas does with to_json(orient='records', lines=True)"
_NAME_KEYS = "name the keys with --set data.label=NAME --set data.text=NAME"


class FaultError(Exception):
    """A fault of a record; if only its text is missing, ``labels`` are known."""

    def __init__(self, reason: str) -> None:
        self.reason, self.labels, self.group = reason, None, ""  # type: tuple[str, list[str] | None, str]
        super().__init__(reason)


class TableFields:
    """The fields of a record of a table."""

    def __init__(self, fields: list[str], layout: Layout) -> None:
        self._fields, self._layout = fields, layout
        width = layout.width
        if len(fields) == width or (len(fields) > width and not layout.is_exact):
            return
        count = pluralize(len(fields), "column", "columns")
        if layout.is_pair:
            raise FaultError("no tab; write label<TAB>text")
        if layout.header is None:
            raise FaultError(f"has {count}, but needs {width}")
        cure = "; a field with tabs or line ends needs --set data.quoting=true" if '"' in "".join(fields) else ""
        if layout.is_quoted:
            cure = f"; a field with '{layout.delimiter}' needs quotes around it" if len(fields) > width else ""
        raise FaultError(f"has {count}, but the header has {width}{cure}")

    def labels(self, config: DataConfig) -> list[str]:
        """Return the labels; raises FaultError."""
        if isinstance(config.label, list):
            return _list_marked(config.label, [self._fields[at] for at in self._layout.label])
        return _split_labels(self._fields[self._layout.label[0]], config)

    def text(self, config: DataConfig) -> str:
        """Return the text; raises FaultError."""
        del config
        text = " ".join([self._fields[at] for at in self._layout.text])
        return _join_lines(text) if self._layout.is_quoted else text

    def group(self, config: DataConfig) -> str:
        """Return the value of ``data.group``; raises FaultError."""
        del config
        assert self._layout.group is not None
        return self._fields[self._layout.group]


class ObjectFields:
    """The values of a JSON object."""

    def __init__(self, row: dict[str, Any], *, labelled: bool) -> None:
        self._row, self._labelled = row, labelled

    def labels(self, config: DataConfig) -> list[str]:
        """Return the labels; raises FaultError."""
        if isinstance(config.label, list):
            values = [self._find(name) for name in config.label]
            pairs = zip(values, config.label, strict=True)
            return _list_marked(config.label, ["" if v is None else self._to_text(v, name) for v, name in pairs])
        name = config.label or LABEL
        value = self._find(name)
        if not isinstance(value, list):
            return _split_labels(self._to_text(value, name), config)
        if not config.multi_label:
            raise FaultError(f"'{shorten(name)}' is a list; texts with several labels need --set data.multi_label=true")
        return [self._to_text(label, name) for label in value]

    def text(self, config: DataConfig) -> str:
        """Return the text; raises FaultError."""
        return _join_lines(" ".join([self._get_text(name) for name in as_list(config.text) or [TEXT]]))

    def group(self, config: DataConfig) -> str:
        """Return the value of ``data.group``; raises FaultError."""
        assert config.group is not None
        return self._get_text(config.group)

    def _get_text(self, name: str) -> str:
        return self._to_text(self._find(name), name)

    def _find(self, name: str) -> Any:
        """Return the value of a key: of this exact name, at the path of keys a.b, or the only one in another case."""
        if name in self._row:
            return self._row[name]
        value: Any = self._row
        for key in name.split("."):
            value = value.get(key, self) if isinstance(value, dict) else self
        if value is self:
            same = [key for key in self._row if key.strip().casefold() == name.casefold()]
            if len(same) != 1:
                cure = self._find_records() or (_NAME_KEYS if self._labelled else "choose one with --field NAME")
                raise FaultError(f"no key '{shorten(name)}'; the keys are {list_names(list(self._row))}; {cure}")
            value = self._row[same[0]]
        return value

    def _find_records(self) -> str | None:
        """Return the cure if all records are in an array inside one object, or None."""
        for key, value in self._row.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                return f"write the records inside alone, with: jq -c '.{key}[]' FILE"
        return None

    @staticmethod
    def _to_text(value: Any, name: str) -> str:
        if isinstance(value, str):
            return value.encode("utf-8", errors="replace").decode("utf-8")  # JSON can escape half of a surrogate pair
        if isinstance(value, bool):
            return str(value).lower()
        kind = "null" if value is None else "a list" if isinstance(value, list) else "an object"
        cure = _SKIP if value is None else _ROWS
        raise FaultError(f"'{shorten(name)}' is {kind}, not a text; {cure}")


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object in a line, its numbers as text; raises FaultError."""
    try:
        row = json.loads(text, parse_float=str, parse_int=str, parse_constant=lambda _: None)
    except RecursionError:
        raise FaultError("not JSON: nested too deeply") from None
    except ValueError as error:
        raise FaultError(f"not JSON: {getattr(error, 'msg', None) or error}") from None
    if not isinstance(row, dict):
        raise FaultError('not a JSON object; write one per line, such as {"label": "a", "text": "b"}')
    return row


def split_fasttext(line: str) -> tuple[list[str], str]:
    """Return the labels, wherever they are, and the rest of ``line``, a line in fastText's format."""
    return FASTTEXT_LABEL.findall(line), FASTTEXT_LABEL.sub("", line).lstrip(" \t\v\f\r\0")


def _split_labels(field: str, config: DataConfig) -> list[str]:
    """Return the labels in a field, in the order of the file."""
    if not config.multi_label:
        return [field]
    if not field:
        return []
    return [field] if config.label_separator is None else field.split(config.label_separator)


def _list_marked(names: Sequence[str], values: Sequence[str]) -> list[str]:
    """Return the names of the 0/1 columns that are 1."""
    labels = []
    for name, value in zip(names, values, strict=True):
        mark = value.strip().lower()
        if mark in _TRUE:
            labels.append(name)
        elif mark not in _FALSE:
            raise FaultError(f"column '{shorten(name)}' should be 0 or 1, not '{shorten(value)}'")
    return labels


def check_labels(labels: list[str]) -> list[str]:
    """Return ``labels``; raises FaultError unless they can be labels of one text."""
    if fault := find_label_fault(labels):
        raise FaultError(fault)
    return labels


def _join_lines(text: str) -> str:
    """Return ``text`` with spaces for its line ends."""
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
