"""Loading a config from a file, ``--set`` and flags, with all faults reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from textrnn.config.key_checks import Tree, check_keys, format_value
from textrnn.config.key_types import describe, file_schema, key_schema
from textrnn.config.schema import Config, list_sections
from textrnn.errors import ConfigError

_KEYS = {name: [*section.model_fields] for name, section in Config()}


class Override(NamedTuple):
    """A value that takes precedence over the file's: its dotted key, the value, and the flag as the user wrote it."""

    key: str
    value: Any
    origin: str


def parse_overrides(texts: Iterable[str]) -> list[Override]:
    """Parse each of ``texts`` with :func:`parse_override`.

    Raises:
        ConfigError: with all faults; to set a key twice is one.
    """
    overrides: dict[str, Override] = {}
    faults = []
    for text in texts:
        try:
            override = parse_override(text)
        except ConfigError as error:
            faults += error.faults
            continue
        if overrides.setdefault(override.key, override) is not override:
            faults.append(f"{override.origin}: {override.key}: given twice; keep one")
    if faults:
        raise ConfigError(faults)
    return list(overrides.values())


def parse_override(text: str) -> Override:
    """Parse ``SECTION.KEY=VALUE``; the type of the key decides how the value is read.

    Raises:
        ConfigError: there is no ``=`` or no key, or the value of a key that is not text is not YAML.
    """
    name, equals, value = text.partition("=")
    key, origin = name.strip(), f"--set {text}"
    if not equals or not key:
        raise ConfigError(f"{origin}: write SECTION.KEY=VALUE, such as --set train.lr=0.001")
    schema = key_schema(key)
    if schema is None:  # load_config suggests a key
        return Override(key, value, origin)
    from textrnn.config.yaml import NOT_YAML, parse_value  # noqa: PLC0415 - prediction does not need it

    try:
        return Override(key, parse_value(value, schema), origin)
    except ConfigError as error:
        raise ConfigError(f"{origin}: {key}.{error}") from None
    except NOT_YAML:
        raise ConfigError(f"{origin}: {key}: should be {describe(schema)}, not {format_value(value)}") from None


def load_config(path: Path | None = None, *, overrides: Iterable[Override] = ()) -> Config:
    """Return the config in the YAML file at ``path`` (None: the defaults) with ``overrides`` applied in order.

    Raises:
        ConfigError: with one line per fault: file and line (or flag), key, and suggestion.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    faults: list[str] = []
    if path is not None:
        from textrnn.config.yaml import read_yaml  # noqa: PLC0415 - prediction does not need it

        values, origins, faults = read_yaml(path, file_schema())
        values = {name: value for name, value in values.items() if value is not None}  # all keys commented out
    for override in overrides:
        if _apply(values, override.key.split("."), override.value):
            origins[override.key] = override.origin
        else:
            faults.append(f"{override.origin}: {override.key}: not a key; {list_sections()}")
    tree = Tree(values, origins, str(path))
    try:
        config = Config.model_validate(values)
    except ValueError as error:
        faults += [tree.fault(key, reason) for key, reason in _explain(error, tree)]
    faults += check_keys(tree)
    if faults:
        raise ConfigError(faults)
    return config


def fill_config(config: Config, values: Mapping[str, Mapping[str, Any]], *, origin: str) -> Config:
    """Return ``config`` with ``values``, by section and key, of keys that nobody set; ``origin`` names their source.

    Raises:
        ConfigError: the keys that were set cannot be combined with them.
    """
    tree = {
        name: {**values.get(name, {}), **{key: getattr(section, key) for key in section.model_fields_set}}
        for name, section in config
    }
    if faults := [*check_keys(Tree(tree, {}, origin))]:
        raise ConfigError(faults)
    return Config.model_validate(tree)


def check_config(values: Mapping[str, Any]) -> Config:
    """Return the config with these plain values, as in a model file; raises ValueError with the first fault.

    A model file without ``data.long_texts`` is older than this key, and its model reads texts as ``cut`` does.
    """
    data = values.get("data") if isinstance(values, dict) else None
    if isinstance(data, dict):
        values = {**values, "data": {"long_texts": "cut", **data}}
    try:
        return Config.model_validate(values)
    except ValueError as error:
        key, reason = next(_explain(error, Tree(values if isinstance(values, dict) else {}, {}, "")))
        raise ValueError(f"{key}: {reason}") from None


def dump_yaml(config: Config) -> str:
    """Return ``config`` as YAML that :func:`load_config` reads back unchanged."""
    from textrnn.config.yaml import format_yaml  # noqa: PLC0415 - prediction does not need it

    return format_yaml(config.model_dump())


def _apply(values: dict[str, Any], keys: list[str], value: Any) -> bool:
    """Set ``values[section][key]``; return False if ``keys`` is not a section and a key."""
    if len(keys) != 2 or keys[0] not in _KEYS or not keys[1]:
        return False
    section = values.setdefault(keys[0], {})
    if isinstance(section, dict):  # the validation reports any other type
        section[keys[1]] = value
    return True


def _explain(error: Any, tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield each key with a fault of a ``pydantic.ValidationError``, and the reason.

    It is in words of the schema: pydantic's would name Python's types.
    """
    keys = [".".join(map(str, fault["loc"][:2])) for fault in error.errors()]
    faults = dict(zip(reversed(keys), reversed(error.errors()), strict=True))  # a union has one for each of its types
    for key, fault in reversed(faults.items()):
        schema = key_schema(key)
        if fault["type"] == "extra_forbidden":
            yield key, f"unknown key{_suggest(key, top=len(fault['loc']) == 1)}"
            continue
        own = fault["ctx"]["error"] if fault["type"] == "value_error" else None  # of a validator of the schema
        if schema is not None:
            yield key, f"{own or f'should be {describe(schema)}'}, not {format_value(tree.get(key))}"
        else:
            yield key, str(own or f"should be a section with keys, not {format_value(tree.values.get(key))}")


def _suggest(key: str, *, top: bool) -> str:
    import difflib  # noqa: PLC0415 - prediction does not need it

    section, _, name = key.rpartition(".")
    if top and section in _KEYS:
        return f"; write it as {section}: {{{name}: ...}}"
    if section not in _KEYS:
        near = difflib.get_close_matches(key, _KEYS, n=1)
        return f", did you mean '{near[0]}'?" if near else f"; {list_sections()}"
    if near := difflib.get_close_matches(name, _KEYS[section], n=1):
        return f", did you mean '{near[0]}'?"
    everywhere = {other: f"{part}.{other}" for part, names in _KEYS.items() for other in names}
    if near := difflib.get_close_matches(name, everywhere, n=1):
        return f", did you mean '{everywhere[near[0]]}'?"
    return f"; {section} has {', '.join(_KEYS[section])}"
