"""Loading a config from a file, ``--set`` and flags, with all faults reported at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from textrnn.config.schema import DEMO, FOLD, Config, EmbeddingConfig, as_list, list_sections, split_fold
from textrnn.config.yaml import NOT_YAML, format_yaml, parse_yaml, read_yaml
from textrnn.errors import ConfigError

_KEYS = {name: list(type(section).model_fields) for name, section in Config()}
_EXPECTED = {"data.fold": "K/N, such as 2/5", "train.device": "auto, cpu, cuda, cuda:N or mps"}
_INDICATORS = ("|", ">", ",", "&")  # YAML indicators that are invalid as a whole value, but likely label separators


@dataclass(frozen=True)
class Override:
    """A value that takes precedence over the file's: its dotted key, the value, and the flag as the user wrote it."""

    key: str
    value: Any
    origin: str


def parse_overrides(texts: Iterable[str]) -> list[Override]:
    """Parse each of ``texts`` with :func:`parse_override`; raises ConfigError with all faults."""
    overrides, faults = [], []
    for text in texts:
        try:
            overrides.append(parse_override(text))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return overrides


def parse_override(text: str) -> Override:
    """Parse ``SECTION.KEY=VALUE`` with a YAML value.

    Raises:
        ConfigError: there is no ``=`` or no key, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    origin = f"--set {text}"
    if not equals or not key.strip():
        raise ConfigError(f"{origin}: write SECTION.KEY=VALUE, such as --set train.lr=0.001")
    try:
        parsed = value if value in _INDICATORS else parse_yaml(value)
        return Override(key.strip(), parsed, origin)
    except NOT_YAML:
        raise ConfigError(f"{origin}: the value is not YAML; quote it, such as --set '{key}=\"a: b\"'") from None


def load_config(path: Path | None = None, *, overrides: Iterable[Override] = ()) -> Config:
    """Return the config in the YAML file at ``path`` (None: the defaults) with ``overrides`` applied in order.

    Raises:
        ConfigError: with one line per fault: file and line (or flag), key, and suggestion.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    faults: list[str] = []
    if path is not None:
        values, origins, faults = read_yaml(path)
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
        faults += [_describe(fault, origins, path) for fault in error.errors()]
    faults += [*_check_data(tree), *_check_embedding(tree), *_check_training(tree)]
    if faults:
        raise ConfigError(faults)
    return config


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
    label, text = tree.get("data.label"), tree.get("data.text")
    if isinstance(label, list) and not tree.get("data.multi_label", False):
        yield tree.fault("data.label", "several columns need data.multi_label=true; set that too")
    if isinstance(label, list) and tree.get("data.label_separator") is not None:
        yield tree.fault("data.label_separator", "has no effect, because data.label has a column for each label")
    columns = [*as_list(label), *as_list(text)]
    if twice := next((name for name in columns if columns.count(name) > 1), None):
        yield tree.fault("data.text", f"the column '{twice}' is named twice")
    if tree.get("data.group") is not None and tree.get("data.valid") is not None:
        yield tree.fault("data.group", "has no effect with data.valid; remove one of them")
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


def _describe(fault: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    origin = origins.get(key) or origins.get(key.rpartition(".")[0]) or (str(path) if path else "")
    kind, value = fault["type"], fault.get("input")
    if kind == "extra_forbidden":
        reason = f"unknown key{_suggest(key, top=len(fault['loc']) == 1)}"
    elif kind == "model_type":
        reason = f"should be a section with keys, not {_format(value)}"
    elif kind == "string_pattern_mismatch":
        reason = f"should be {_EXPECTED[key]}, not {_format(value)}"
    else:
        expected = re.sub("^(Input |String |Value error, )", "", fault["msg"])
        reason = f"{expected}, not {_format(value)}"
    return f"{origin}: {key}: {reason}" if origin else f"{key}: {reason}"


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
