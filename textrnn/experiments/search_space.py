"""The search space of ``textrnn tune``: the config keys that vary, and their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textrnn.config import Override, load_config
from textrnn.config.key_types import Schema, file_schema
from textrnn.config.yaml import read_yaml
from textrnn.errors import ConfigError

_FIXED = {
    "data.train",
    "data.valid",
    "data.test",
    "data.fold",
    "data.valid_share",
    "data.train_share",
    "train.metric",
    "train.refit",
    "train.seed",
}


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, inclusive: reals, or integers if ``whole``; log-uniform if ``log``."""

    key: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    @property
    def values(self) -> tuple[Any, ...]:
        """The bounds, which are the values to check."""
        return self.low, self.high


@dataclass(frozen=True)
class Choice:
    """A choice between plain values."""

    key: str
    values: tuple[Any, ...]


Dimension = Range | Choice


def read_space(path: Path, config: Path | None, *, overrides: Iterable[Override] = ()) -> list[Dimension]:
    """Read the search space from the YAML file at ``path``, and check that the config accepts all of its values.

    ``config`` and ``overrides`` are those of :func:`textrnn.config.load_config`. Each dotted key holds ``low``,
    ``high`` and optionally ``log: true``, or ``choices``.

    Raises:
        ConfigError: with one line per fault, which names file, line and key.
    """
    if not path.exists():
        raise ConfigError(f"{path}: no such file; a search space has lines such as 'model.layers: {_EXAMPLE}'")
    tree, origins, faults = read_yaml(path, _space_schema())
    base = list(overrides)
    load_config(config, overrides=base)  # report faults of the config itself first
    faults += [f"{o.origin}: {path} varies {o.key}; leave it out, or change --space" for o in base if o.key in tree]
    space: list[Dimension] = []
    for key, content in tree.items():
        origin = origins.get(key, str(path))
        try:
            dimension = _parse(key, content)
        except ValueError as error:
            faults.append(f"{origin}: {key}: {error}")
            continue
        values = [Override(key, value, origin) for value in dimension.values]
        unfit = [fault for value in values for fault in _find_faults(config, [*base, value])]
        if not unfit and isinstance(dimension, Range):
            dimension = replace(dimension, whole=_is_whole(config, [*base, values[0]], key))
        faults += dict.fromkeys(unfit)  # low and high may have the same fault
        space.append(dimension)
    if not tree and not faults:
        faults = [f"{path}: has no keys; add lines such as 'model.layers: {_EXAMPLE}'"]
    if not faults:  # check that the keys can be combined
        together = [Override(part.key, part.values[0], origins.get(part.key, str(path))) for part in space]
        faults = _find_faults(config, [*base, *together])
    if faults:
        raise ConfigError(faults)
    return space


_EXAMPLE = "{low: 1, high: 3}"


def _space_schema() -> Schema:
    """Return the JSON schema of the file: of each key, the choices have its type."""
    sections = file_schema()["properties"]
    keys = {f"{name}.{key}": part for name in sections for key, part in sections[name]["properties"].items()}
    return {"properties": {key: {"properties": {"choices": {"items": part}}} for key, part in keys.items()}}


def _parse(key: str, content: Any) -> Dimension:
    """Return the dimension of a key; raises ValueError with the reason if ``content`` is invalid."""
    if key in _FIXED:
        raise ValueError("must be the same in all trials; set it in the config")
    if not isinstance(content, dict):
        raise ValueError(f"should hold low and high, or choices, not {content!r}")
    names = set(content)
    if "choices" in names:
        return Choice(key, _parse_choices(content, names))
    if unknown := names - {"low", "high", "log"}:
        raise ValueError(f"unknown key '{sorted(map(str, unknown))[0]}'; it holds low, high and log, or choices")
    if not {"low", "high"} <= names:
        raise ValueError("should hold low and high, or choices")
    low, high, log = content["low"], content["high"], content.get("log", False)
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} should be a number, not {value!r}")
    if not isinstance(log, bool):
        raise ValueError(f"log should be true or false, not {log!r}")
    if not low < high:
        raise ValueError(f"low should be below high, and {low} is not below {high}")
    if log and low <= 0:
        raise ValueError(f"with log, low should be above 0, not {low}")
    return Range(key, low, high, log=log)


def _parse_choices(content: dict[Any, Any], names: set[Any]) -> tuple[Any, ...]:
    choices = content["choices"]
    if names != {"choices"}:
        raise ValueError("choices cannot be combined with other keys")
    if not isinstance(choices, list) or not choices:
        raise ValueError(f"choices should be a list of values, not {choices!r}")
    if wrong := [value for value in choices if not isinstance(value, str | int | float | None)]:
        raise ValueError(f"choices should be plain values, not {wrong[0]!r}")
    if twice := [value for index, value in enumerate(choices) if value in choices[:index]]:
        raise ValueError(f"{twice[0]!r} is listed twice in choices")
    return tuple(choices)


def _find_faults(config: Path | None, overrides: Sequence[Override]) -> list[str]:
    try:
        load_config(config, overrides=overrides)
    except ConfigError as error:
        return error.faults
    return []


def _is_whole(config: Path | None, overrides: Sequence[Override], key: str) -> bool:
    section, _, name = key.partition(".")
    return isinstance(getattr(getattr(load_config(config, overrides=overrides), section), name), int)
