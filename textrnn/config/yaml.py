"""YAML read by the types of the config keys, with the line of each key, and with numbers such as 1e-3."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from textrnn.config.key_types import Schema, is_text, list_types
from textrnn.config.schema import list_sections
from textrnn.errors import ConfigError

_TEXT, _NULL, _MERGE = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "null", "merge"))
NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)  # ValueError: dates and numbers out of range


class Loader(yaml.SafeLoader):
    """YAML 1.1, except that 1e-3 is a number, as in YAML 1.2."""


class _Dumper(yaml.SafeDumper):
    """Writes what :class:`Loader` reads."""


for _class in (Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    breaks = any(character in text for character in "\n\r\x85\u2028\u2029")
    return dumper.represent_scalar(_TEXT, text, style='"' if breaks else None)


_Dumper.add_representer(str, _represent_text)


def parse_value(text: str, schema: Schema) -> Any:
    """Return the value of a key from the command line; ``schema`` is that of the key.

    Text is taken verbatim, except that null and the empty value unset a key that may be null, and a value that starts
    with ``[`` is a YAML list if the key takes lists (``{``: a mapping). All other values are YAML.

    Raises:
        ConfigError: a mapping has a label twice.
        ValueError, yaml.YAMLError, RecursionError: one of NOT_YAML, if the value is not YAML.
    """
    kinds = {part.get("type") for part in list_types(schema)}
    if is_text(schema):
        if "null" in kinds and text in ("", "null"):
            return None
        if not text.startswith(tuple(sign for kind, sign in (("array", "["), ("object", "{")) if kind in kinds)):
            return text
    node = yaml.compose(text, Loader)
    if repeated := [key for key, count in Counter(key for key, _ in _list_keys(node, depth=1)).items() if count > 1]:
        raise ConfigError(f"{repeated[0]}: written twice; keep one")
    value = _construct(node, schema)
    if value is None and text not in ("", "null", "~"):
        raise ValueError("a comment, which would unset the key")
    return value


def format_yaml(tree: Any) -> str:
    """Return ``tree`` as YAML that :func:`read_yaml` reads back unchanged."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_yaml(path: Path, schema: Schema) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return the tree in the file at ``path``, the ``path:line`` of each key, and the faults of repeated keys.

    Plain values are text where ``schema`` of the file says so: a column ``no`` is not false, a label ``1.0`` no number.

    Raises:
        ConfigError: the file cannot be read, or contains no keys.
    """
    tree, node = _parse_yaml(path, schema)
    if tree is None:
        return {}, {}, []
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: contains no keys; {list_sections()}{_hint_at_data(path)}")
    origins: dict[str, str] = {}
    faults = []
    for key, line in _list_keys(node, depth=3):
        if key in origins:
            faults.append(f"{path}:{line}: {key}: written twice; keep one")
        origins[key] = f"{path}:{line}"
    return tree, origins, faults


def _parse_yaml(path: Path, schema: Schema) -> tuple[Any, Any]:
    node = None
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader)
        return _construct(node, schema), node
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file; create one with 'textrnn init'") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a config file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a YAML file, because it is not UTF-8 text") from None
    except NOT_YAML as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else _find_bad_value(node)
        where = f"{path}:{line}" if line else str(path)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise ConfigError(f"{where}: not YAML: {' '.join(reason.split())}{_hint_at_data(path)}") from None


def _hint_at_data(path: Path) -> str:
    return "" if path.suffix in (".yaml", ".yml") else " (name labelled text with --train)"


def _find_bad_value(node: Any) -> int | None:
    """Return the line of the first value that is valid YAML but not a Python value, such as 2024-13-45."""
    if isinstance(node, yaml.ScalarNode):
        try:
            Loader("").construct_object(node)
        except ValueError:
            return node.start_mark.line + 1
    elif isinstance(node, yaml.MappingNode):
        return next(filter(None, (_find_bad_value(value) for _, value in node.value)), None)
    return None


def _list_keys(node: Any, *, depth: int, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield the dotted keys of mappings down to ``depth``, with their lines."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = f"{prefix}{key_node.value}"
            yield key, key_node.start_mark.line + 1
            if depth > 1:
                yield from _list_keys(value_node, depth=depth - 1, prefix=f"{key}.")


def _construct(node: Any, schema: Schema) -> Any:
    """Return the value of ``node``, in which the plain values that ``schema`` calls text are text."""
    loader = Loader("")  # a SafeLoader
    return None if node is None else loader.construct_document(_read_as_text(node, schema))


def _read_as_text(node: Any, schema: Schema) -> Any:
    """Return ``node`` with the type of text for each plain value that is text in ``schema``, and for each key."""
    parts = list_types(schema)
    if isinstance(node, yaml.ScalarNode):
        return node if node.tag == _NULL or not is_text(schema) else _make_text(node)
    if isinstance(node, yaml.SequenceNode):
        items = next((part["items"] for part in parts if "items" in part), None)
        if items is not None:
            node.value = [_read_as_text(item, items) for item in node.value]
    elif isinstance(node, yaml.MappingNode):
        names: Schema = next((part["properties"] for part in parts if "properties" in part), {})
        others = next((part["additionalProperties"] for part in parts if part.get("additionalProperties")), None)
        if names or others:
            merged = {"anyOf": [schema, {"items": schema}]}  # what << merges: one such mapping, or a list of them
            node.value = [
                (key, _read_as_text(value, merged))
                if key.tag == _MERGE
                else (_make_text(key), _read_as_text(value, names.get(key.value, others) or {}))
                if isinstance(key, yaml.ScalarNode)
                else (key, value)
                for key, value in node.value
            ]
    return node


def _make_text(node: yaml.ScalarNode) -> yaml.ScalarNode:
    return yaml.ScalarNode(_TEXT, node.value, node.start_mark, node.end_mark, style=node.style)
