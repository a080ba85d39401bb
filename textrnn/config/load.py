"""Loading a config from a file, ``--set`` and flags, with all faults reported at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from textrnn.config.key_types import describe, file_schema, key_schema
from textrnn.config.schema import DEMO, FOLD, Config, EmbeddingConfig, list_sections, split_fold
from textrnn.config.yaml import NOT_YAML, format_yaml, parse_value, read_yaml
from textrnn.errors import ConfigError

_KEYS = {name: list(type(section).model_fields) for name, section in Config()}

_WITHOUT_EFFECT: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("data.valid_share", "data.train", lambda value: value == DEMO),  # which has its own validation set
    ("data.valid_share", "data.valid", lambda value: value is not None),
    ("data.valid_share", "data.fold", lambda value: value is not None),
    ("tokenizer.vocab_size", "tokenizer.model", lambda value: value is not None),
    ("tokenizer.model_type", "tokenizer.model", lambda value: value is not None),
    ("model.highway_bias", "model.cell", lambda value: value in ("gru", "lstm")),
    ("model.variational_dropout", "model.dropout", lambda value: value == 0),
    ("ngrams.penalty", "ngrams.share", lambda value: value == 0),
)
"""A key, and the key whose values take its effect away."""


@dataclass(frozen=True)
class Override:
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
    try:
        return Override(key, parse_value(value, schema), origin)
    except ConfigError as error:
        raise ConfigError(f"{origin}: {key}.{error}") from None
    except NOT_YAML:
        raise ConfigError(f"{origin}: {key}: should be {describe(schema)}, not {_format(value)}") from None


def load_config(path: Path | None = None, *, overrides: Iterable[Override] = ()) -> Config:
    """Return the config in the YAML file at ``path`` (None: the defaults) with ``overrides`` applied in order.

    Raises:
        ConfigError: with one line per fault: file and line (or flag), key, and suggestion.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    faults: list[str] = []
    if path is not None:
        values, origins, faults = read_yaml(path, file_schema())
        values = {name: value for name, value in values.items() if value is not None}  # all keys commented out
    for override in overrides:
        if _apply(values, override.key.split("."), override.value):
            origins[override.key] = override.origin
        else:
            faults.append(f"{override.origin}: {override.key}: not a key; {list_sections()}")
    tree = _Tree(values, origins, str(path))
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        faults += [tree.fault(key, reason) for key, reason in _explain(error, tree)]
    faults += [*_check_data(tree), *_check_embedding(tree), *_check_training(tree), *_check_effect(tree)]
    if faults:
        raise ConfigError(faults)
    return config


def check_config(values: Mapping[str, Any]) -> Config:
    """Return the config with these plain values, as in a model file; raises ValueError with the first fault."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        key, reason = next(_explain(error, _Tree(values if isinstance(values, dict) else {}, {}, "")))
        raise ValueError(f"{key}: {reason}") from None


def dump_yaml(config: Config) -> str:
    """Return ``config`` as YAML that :func:`load_config` reads back unchanged."""
    return format_yaml(config.model_dump())


def _apply(values: dict[str, Any], keys: list[str], value: Any) -> bool:
    """Set ``values[section][key]``; return False if ``keys`` is not a section and a key."""
    if len(keys) != 2 or keys[0] not in _KEYS or not keys[1]:
        return False
    section = values.setdefault(keys[0], {})
    if isinstance(section, dict):  # the validation reports any other type
        section[keys[1]] = value
    return True


@dataclass(frozen=True)
class _Tree:
    """Unvalidated values of a config by section, and the file and line (or flag) of each key."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    path: str

    def get(self, key: str, default: Any = None) -> Any:
        name, _, field = key.partition(".")
        section = self.values.get(name)
        return section.get(field, default) if isinstance(section, dict) else default

    def origin(self, key: str) -> str:
        return self.origins.get(key, self.path)

    def fault(self, key: str, reason: str) -> str:
        return f"{self.origin(key)}: {key}: {reason}"


def _check_data(tree: _Tree) -> Iterator[str]:
    """Yield the faults of keys of ``data`` that depend on each other."""
    if tree.get("data.valid") is not None and tree.get("data.train", DEMO) == DEMO:
        yield tree.fault("data.valid", "needs data.train; name the training set too")
    if tree.get("data.label_separator") is not None and not tree.get("data.multi_label", False):
        yield tree.fault("data.label_separator", "needs data.multi_label=true; set that too, or remove the separator")
    fold = tree.get("data.fold")
    if not isinstance(fold, str) or not re.match(FOLD, fold):
        return
    origin = tree.origin("data.fold")
    place = origin if origin.startswith("--kfold") else f"{origin}: data.fold"  # --kfold sets the key for the user
    number, folds = split_fold(fold)
    if tree.get("data.valid") is not None:
        valid = tree.origin("data.valid")
        cure = valid if valid.startswith("--") else f"data.valid ({valid}), or use --set data.valid=null"
        yield f"{place}: holds out its own validation set; remove {cure}"
    elif not 1 <= number <= folds > 1:
        yield f"{place}: there is no fold {number} of {folds}; K/N needs N of at least 2, and K from 1 to N"


def _check_embedding(tree: _Tree) -> Iterator[str]:
    """Yield the faults of keys of ``embedding`` and ``tokenizer`` that depend on each other."""
    default = EmbeddingConfig().words
    words = tree.get("embedding.words", default)
    model, kind = tree.get("tokenizer.model"), tree.get("tokenizer.model_type")
    if tree.get("embedding.freeze") and not tree.get("embedding.vectors"):
        yield tree.fault("embedding.freeze", "needs embedding.vectors; name a file of word vectors too")
    if isinstance(words, int) and words not in (0, default):
        if not tree.get("embedding.vectors"):
            yield tree.fault("embedding.words", "needs embedding.vectors; name a file of word vectors too")
        elif model is not None or kind in ("bpe", "char"):
            tokenizer = "the tokenizer of tokenizer.model" if model is not None else f"a {kind} tokenizer"
            yield tree.fault("embedding.words", f"{tokenizer} accepts no new words; remove this key")
    if tree.get("tokenizer.alpha") is not None and model is None and kind in ("char", "word"):
        yield tree.fault("tokenizer.alpha", f"a {kind} tokenizer cannot sample; use a unigram or bpe tokenizer")


def _check_training(tree: _Tree) -> Iterator[str]:
    if tree.get("train.batch_size") is not None and tree.get("train.batch_tokens") is not None:
        flag = tree.origin("train.batch_size").startswith("--batch-size")
        cure = "remove one of them" + ("" if flag else ", or use --set train.batch_size=null")
        yield tree.fault("train.batch_tokens", f"cannot be combined with train.batch_size; {cure}")


def _check_effect(tree: _Tree) -> Iterator[str]:
    """Yield the keys of the command line that have no effect; a file may hold keys for other cases."""
    for key, other, ends in _WITHOUT_EFFECT:
        value = tree.get(other, (key_schema(other) or {})["default"])
        if tree.origin(key).startswith("--") and tree.get(key) is not None and ends(value):
            yield tree.fault(key, f"has no effect with {other}={_format(value)}; leave it out")


def _explain(error: ValidationError, tree: _Tree) -> Iterator[tuple[str, str]]:
    """Yield each key with a fault, and the reason in words of the schema: pydantic's would name Python's types."""
    keys = [".".join(map(str, fault["loc"][:2])) for fault in error.errors()]
    faults = dict(zip(reversed(keys), reversed(error.errors()), strict=True))  # a union has one for each of its types
    for key, fault in reversed(faults.items()):
        schema = key_schema(key)
        if fault["type"] == "extra_forbidden":
            yield key, f"unknown key{_suggest(key, top=len(fault['loc']) == 1)}"
        elif fault["type"] == "value_error":  # of a validator of the schema
            yield key, str(fault["ctx"]["error"])
        elif schema is not None:
            yield key, f"should be {describe(schema)}, not {_format(tree.get(key))}"
        else:
            yield key, f"should be a section with keys, not {_format(tree.values.get(key))}"


def _suggest(key: str, *, top: bool) -> str:
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


def _format(value: Any) -> str:
    """Return a value as YAML writes it, shortened."""
    text = repr(value)
    if value is None or isinstance(value, bool):
        text = "null" if value is None else text.lower()
    return text if len(text) <= 40 else f"{text[:37]}..."
