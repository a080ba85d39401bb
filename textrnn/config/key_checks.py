"""Checks of keys that depend on each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from textrnn.config.key_types import key_schema
from textrnn.config.schema import DEMO, FOLD, EmbeddingConfig, split_fold

_WITHOUT_EFFECT: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("data.valid_share", "data.train", lambda value: value == DEMO),  # which has its own validation set
    ("data.valid_share", "data.valid", lambda value: value is not None),
    ("data.valid_share", "data.fold", lambda value: value is not None),
    ("data.group", "data.valid", lambda value: value is not None),
    ("data.label_separator", "data.label", lambda value: isinstance(value, list)),
    ("data.label_separator", "data.label_columns", lambda value: value is not None),
    ("tokenizer.vocab_size", "tokenizer.model", lambda value: value is not None),
    ("tokenizer.model_type", "tokenizer.model", lambda value: value is not None),
    ("tokenizer.vocab_size", "train.init", lambda value: value is not None),
    ("tokenizer.model_type", "train.init", lambda value: value is not None),
    ("model.highway_bias", "train.init", lambda value: value is not None),
    ("model.highway_bias", "model.cell", lambda value: value in ("gru", "lstm")),
    ("model.variational_dropout", "model.dropout", lambda value: value == 0),
    ("ngrams.penalty", "ngrams.share", lambda value: value == 0),
)
"""A key, and the key whose values take its effect away."""


class Tree(NamedTuple):
    """Unvalidated values of a config by section, and the file and line (or flag) of each key."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    path: str

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of the dotted ``key``."""
        name, _, field = key.partition(".")
        section = self.values.get(name)
        return section.get(field, default) if isinstance(section, dict) else default

    def origin(self, key: str) -> str:
        """Return the file and line, or the flag, of ``key``."""
        return self.origins.get(key, self.path)

    def fault(self, key: str, reason: str) -> str:
        """Return the message about ``key``."""
        return f"{self.origin(key)}: {key}: {reason}"


def check_keys(tree: Tree) -> Iterator[str]:
    """Yield the faults of keys that exclude, need or disable each other."""
    checks = (_check_data, _check_score, _check_refit, _check_init, _check_embedding, _check_training, _check_effect)
    for check in checks:
        yield from check(tree)


def _check_data(tree: Tree) -> Iterator[str]:
    """Yield the faults of keys of ``data`` that depend on each other."""
    if tree.get("data.valid") is not None and tree.get("data.train", DEMO) == DEMO:
        yield tree.fault("data.valid", "needs data.train; name the training set too")
    if tree.get("data.label_separator") is not None and not tree.get("data.multi_label", False):
        yield tree.fault("data.label_separator", "needs data.multi_label=true; set that too, or remove the separator")
    label, text = tree.get("data.label"), tree.get("data.text")
    if isinstance(label, list) and not tree.get("data.multi_label", False):
        yield tree.fault("data.label", "several columns need data.multi_label=true; set that too")
    shares = tree.get("data.label_columns")
    if shares is not None and label is not None:
        yield tree.fault("data.label_columns", "replaces data.label; remove one of them")
    if isinstance(shares, list) and len(shares) == 1 and not tree.get("data.multi_label", False):
        yield tree.fault("data.label_columns", "training needs at least two labels; name a column for each")
    columns = [*_as_names(label), *_as_names(shares), *_as_names(text)]
    if twice := next((name for name in columns if columns.count(name) > 1), None):
        keys = (("data.label", label), ("data.label_columns", shares), ("data.text", text))
        key = next(key for key, value in reversed(keys) if twice in _as_names(value))
        yield tree.fault(key, f"the column '{twice}' is named twice")
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


def _check_score(tree: Tree) -> Iterator[str]:
    """Yield the keys for labels that are set although the target is a score."""
    if tree.get("data.target") != "score":
        return
    label, metric = tree.get("data.label"), tree.get("train.metric", "loss")
    wrong = {
        "data.multi_label": tree.get("data.multi_label") is True,
        "data.label_columns": tree.get("data.label_columns") is not None,
        "data.label": isinstance(label, list),
        "train.class_weights": tree.get("train.class_weights") is not None,
        "train.metric": metric != "loss",
    }
    for key in (key for key, is_wrong in wrong.items() if is_wrong):
        yield tree.fault(key, "is for labels, but data.target is score; remove it")


def _check_refit(tree: Tree) -> Iterator[str]:
    share, refit = tree.get("data.valid_share"), tree.get("train.refit")
    holds_out = share != 0 or isinstance(share, bool) or tree.get("data.valid") is not None
    if refit is None:
        if not holds_out and tree.get("data.fold") is None:
            cure = "train on everything with 'textrnn train --refit RUN', after a RUN that has one"
            yield tree.fault("data.valid_share", f"0 leaves no validation set; {cure}")
    elif refit and isinstance(refit, str) and (holds_out or tree.get("data.fold") is not None):
        cure = "set data.valid_share=0, and remove data.valid and data.fold"
        yield tree.fault("train.refit", f"trains on everything, and holds nothing out; {cure}")


def _check_init(tree: Tree) -> Iterator[str]:
    """Yield the keys that an initial model decides, or that decide the weights themselves."""
    if tree.get("train.init") is None:
        return
    for key in ("tokenizer.model", "embedding.vectors"):
        if tree.get(key) is not None:
            yield tree.fault(key, f"cannot be combined with train.init ({tree.get('train.init')}); remove one of them")


def _as_names(value: Any) -> list[Any]:
    """Return the names in an unvalidated value of a key for columns."""
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _check_embedding(tree: Tree) -> Iterator[str]:
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


def _check_training(tree: Tree) -> Iterator[str]:
    if tree.get("train.batch_size") is not None and tree.get("train.batch_tokens") is not None:
        flag = tree.origin("train.batch_size").startswith("--batch-size")
        cure = "remove one of them" + ("" if flag else ", or use --set train.batch_size=null")
        yield tree.fault("train.batch_tokens", f"cannot be combined with train.batch_size; {cure}")


def _check_effect(tree: Tree) -> Iterator[str]:
    """Yield the keys of the command line that have no effect; a file may hold keys for other cases."""
    for key, other, ends in _WITHOUT_EFFECT:
        if not tree.origin(key).startswith("--") or tree.get(key) is None:
            continue
        value = tree.get(other, (key_schema(other) or {})["default"])
        if ends(value):
            yield tree.fault(key, f"has no effect with {other}={format_value(value)}; leave it out")


def format_value(value: Any) -> str:
    """Return a value as YAML writes it, shortened."""
    text = repr(value)
    if value is None or isinstance(value, bool):
        text = "null" if value is None else text.lower()
    return text if len(text) <= 40 else f"{text[:37]}..."
