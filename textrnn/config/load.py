"""From a config file, ``--set`` and flags to a config, or to all their faults at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from textrnn.config.schema import DEMO, FOLD, Config, EmbeddingConfig, list_sections, split_fold
from textrnn.config.yaml import NOT_YAML, format_yaml, parse_yaml, read_yaml
from textrnn.errors import ConfigError

_SIGNS = ("|", ">", ",", "&")  # of YAML's own, that no value begins with on a line of its own: separators, most likely


@dataclass(frozen=True)
class Override:
    """One value that beats the file's: its dotted key, the value, and how the user wrote it."""

    key: str
    value: Any
    origin: str


def parse_overrides(texts: Iterable[str]) -> list[Override]:
    """Parse every one of ``texts`` by :func:`parse_override`; raises ConfigError with all their faults."""
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
    """Parse ``path.to.key=value``; the value is read as YAML.

    Raises:
        ConfigError: there is no ``=``, no key, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    origin = f"--set {text}"
    if not equals or not key.strip():
        raise ConfigError(f"{origin}: write it as path.to.key=value, as in --set train.lr=0.001")
    try:
        parsed = value if value in _SIGNS else parse_yaml(value)
        return Override(key.strip(), parsed, origin)
    except NOT_YAML:
        raise ConfigError(f"{origin}: the value is not YAML; quote it, as in --set '{key}=\"a: b\"'") from None


def load_config(path: Path | None = None, *, overrides: Iterable[Override] = ()) -> Config:
    """Read the YAML file at ``path`` (none: defaults), lay ``overrides`` over it in order, and check the whole.

    Raises:
        ConfigError: with one line for each fault, naming the file and line (or the flag), the key and a suggestion.
    """
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    faults: list[str] = []
    if path is not None:
        tree, origins, faults = read_yaml(path)
        tree = {name: value for name, value in tree.items() if value is not None}  # all keys of it are commented out
    for override in overrides:
        if _put(tree, override.key.split("."), override.value):
            origins[override.key] = override.origin
        else:
            faults.append(f"{override.origin}: {override.key}: not a key; {list_sections()}")
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        faults += [_describe(fault, origins, path) for fault in error.errors()]
    for find in (
        _find_lone_valid,
        _find_two_sizes,
        _find_lone_freeze,
        _find_idle_words,
        _find_bad_fold,
        _find_lone_separator,
        _find_idle_alpha,
    ):
        faults += find(tree, origins, path)
    if faults:
        raise ConfigError(faults)
    return config


def dump_yaml(config: Config) -> str:
    """Return ``config`` as YAML that :func:`load_config` reads back to the same."""
    return format_yaml(config.model_dump())


def _find_lone_valid(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    data = tree.get("data")
    if not isinstance(data, dict) or data.get("valid") is None or data.get("train", DEMO) != DEMO:
        return []
    origin = origins.get("data.valid", str(path))
    return [f"{origin}: data.valid: given without data.train; name the training text too"]


def _find_lone_freeze(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    embedding = tree.get("embedding")
    if not isinstance(embedding, dict) or embedding.get("vectors") or not embedding.get("freeze"):
        return []
    origin = origins.get("embedding.freeze", str(path))
    return [f"{origin}: embedding.freeze: given without embedding.vectors; name the file of vectors too"]


def _find_idle_words(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    embedding, tokenizer = tree.get("embedding"), tree.get("tokenizer", {})
    usual = EmbeddingConfig().words
    if not isinstance(embedding, dict):
        return []
    words = embedding.get("words", usual)
    if not isinstance(words, int) or words in (0, usual):
        return []
    own, kind = (tokenizer.get(key) if isinstance(tokenizer, dict) else None for key in ("model", "model_type"))
    if not embedding.get("vectors"):
        reason = "given without embedding.vectors; name the file of vectors too"
    elif own is not None or kind in ("bpe", "char"):
        reason = f"a {kind} tokenizer" if own is None else "a tokenizer that is given"
        reason += " gets no words; leave it out"
    else:
        return []
    return [f"{origins.get('embedding.words', str(path))}: embedding.words: {reason}"]


def _find_two_sizes(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    train = tree.get("train")
    if not isinstance(train, dict) or train.get("batch_size") is None or train.get("batch_tokens") is None:
        return []
    origin = origins.get("train.batch_tokens", str(path))
    flag = origins.get("train.batch_size", "").startswith("--batch-size")
    cure = "leave one of them " + ("out" if flag else "null, as in --set train.batch_size=null")
    return [f"{origin}: train.batch_tokens: given together with train.batch_size; {cure}"]


def _find_bad_fold(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    data = tree.get("data")
    if not isinstance(data, dict):
        return []
    fold = data.get("fold")
    if not isinstance(fold, str) or not re.match(FOLD, fold):
        return []
    origin = origins.get("data.fold", str(path))
    where = origin if origin.startswith("--kfold") else f"{origin}: data.fold"  # who writes the flag knows no such key
    if data.get("valid") is not None:
        valid = origins.get("data.valid", str(path))
        cure = valid if valid.startswith("--") else f"data.valid ({valid}), or --set data.valid=null"
        return [f"{where}: holds out its own valid text; leave out {cure}"]
    number, folds = split_fold(fold)
    return [] if 1 <= number <= folds > 1 else [f"{where}: there is no part {number} of {folds} parts"]


def _find_lone_separator(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    data = tree.get("data")
    if not isinstance(data, dict) or data.get("label_separator") is None or data.get("multi_label", False):
        return []
    origin = origins.get("data.label_separator", str(path))
    return [f"{origin}: data.label_separator: given without data.multi_label=true; say that too, or leave it out"]


def _find_idle_alpha(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    tokenizer = tree.get("tokenizer")
    if not isinstance(tokenizer, dict) or tokenizer.get("alpha") is None or tokenizer.get("model") is not None:
        return []
    kind = tokenizer.get("model_type")
    if kind not in ("char", "word"):
        return []
    origin = origins.get("tokenizer.alpha", str(path))
    return [f"{origin}: tokenizer.alpha: a {kind} tokenizer cannot draw pieces; unigram and bpe can"]


def _put(tree: dict[str, Any], keys: list[str], value: Any) -> bool:
    """Set ``tree[a][b] = value``; False where the path is not SECTION.KEY."""
    if len(keys) != 2 or keys[0] not in Config.model_fields or not keys[1]:
        return False
    section = tree.setdefault(keys[0], {})
    if isinstance(section, dict):  # what else stands there is a fault that the check reports
        section[keys[1]] = value
    return True


def _describe(fault: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    origin = origins.get(key) or origins.get(key.rpartition(".")[0]) or (str(path) if path else "")
    kind, value = fault["type"], fault.get("input")
    if kind == "extra_forbidden":
        reason = f"unknown key{_suggest(key, top=len(fault['loc']) == 1)}"
    elif kind == "model_type":
        reason = f"should hold keys, not {_show(value)}"
    elif kind == "string_pattern_mismatch":
        reason = f"should be {_field_description(key)}, not {_show(value)}"
    else:
        said = re.sub("^(Input |String |Value error, )", "", fault["msg"])
        reason = f"{said}, not {_show(value)}"
    return f"{origin}: {key}: {reason}" if origin else f"{key}: {reason}"


def _suggest(key: str, *, top: bool) -> str:
    section, _, name = key.rpartition(".")
    if top and section in Config.model_fields:
        return f"; write it as {section}: {{{name}: ...}}"
    if section not in Config.model_fields:
        near = difflib.get_close_matches(key, Config.model_fields, n=1)
        return f", did you mean '{near[0]}'?" if near else f"; {list_sections()}"
    field = Config.model_fields.get(section)
    model = field.annotation if field else None
    names = list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
    if near := difflib.get_close_matches(name, names, n=1):
        return f", did you mean '{near[0]}'?"
    everywhere = {
        other: f"{part}.{other}"
        for part, info in Config.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
        for other in info.annotation.model_fields
    }
    if near := difflib.get_close_matches(name, everywhere, n=1):
        return f", did you mean '{everywhere[near[0]]}'?"
    return f"; {section} has {', '.join(names)}"


def _field_description(key: str) -> str:
    section, _, name = key.rpartition(".")
    model = Config.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    return model.model_fields[name].description or ""


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
