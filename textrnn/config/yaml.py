"""YAML with the line of each key, and with numbers such as 1e-3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from textrnn.config.schema import list_sections
from textrnn.errors import ConfigError

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
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if breaks else None)


_Dumper.add_representer(str, _represent_text)


def parse_yaml(text: str) -> Any:
    """Return the value of the YAML in ``text``; raises one of NOT_YAML."""
    return yaml.load(text, Loader)  # a SafeLoader


def format_yaml(tree: Any) -> str:
    """Return ``tree`` as YAML that :func:`parse_yaml` reads back unchanged."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return the tree in the file at ``path``, the ``path:line`` of each key, and the faults of repeated keys.

    Raises:
        ConfigError: the file cannot be read, or contains no keys.
    """
    tree, node = _parse_yaml(path)
    if tree is None:
        return {}, {}, []
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: contains no keys; {list_sections()}{_hint_at_data(path)}")
    origins: dict[str, str] = {}
    faults = []
    for key, line in _walk(node, ""):
        if key in origins:
            faults.append(f"{path}:{line}: {key}: written twice; keep one")
        origins[key] = f"{path}:{line}"
    return tree, origins, faults


def _parse_yaml(path: Path) -> tuple[Any, Any]:
    node = None
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader)
        return yaml.load(text, Loader), node  # a SafeLoader
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


def _walk(node: Any, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = f"{prefix}{key_node.value}"
            yield key, key_node.start_mark.line + 1
            if not prefix:  # sections contain keys, and keys contain values
                yield from _walk(value_node, f"{key}.")
