"""The config of training that continues from another model: what the model decides, and what it suggests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textrnn.config import Config, fill_config
from textrnn.config.key_checks import format_value
from textrnn.errors import ConfigError
from textrnn.serialization.latest_run import POINTER, find_best, find_latest
from textrnn.serialization.model_file import MODEL_NAME, find_model, load_model

SHAPE = ("cell", "layers", "hidden", "embedding", "bidirectional", "pooling", "layer_norm")
"""The keys of ``model`` that the weights decide."""

_LABELS = ("target", "multi_label")  # of data: they decide what the head means
_READING = ("label_separator", "max_length", "long_texts")  # of data: how the model reads text, which may change


def inherit_settings(config: Config) -> Config:
    """Return ``config`` with the settings of the model of ``train.init``, unless it is null.

    The weights decide the shape of the network, and the labels ``data.target`` and ``data.multi_label``. Of the keys
    that say how texts are read, and of a starter's dropout, what the user set stays.
    ``train.init`` becomes the path of a run or model file. The result is the same if it is given again.

    Raises:
        ModelError: the model is missing or damaged.
        ConfigError: a key has another value than the model's.
    """
    if config.train.init is None:
        return config
    path = _locate(Path(config.train.init))
    model = load_model(path, is_starter=None)
    fixed = {"model": {key: getattr(model.config.model, key) for key in SHAPE}}
    free: dict[str, dict[str, Any]] = {}
    if model.labels:
        fixed["data"] = {key: getattr(model.config.data, key) for key in _LABELS}
        free["data"] = {key: getattr(model.config.data, key) for key in _READING if _has_effect(key, config)}
    else:
        free["model"] = {"dropout": model.config.model.dropout}
    faults = [*_compare(config, fixed, path), *([] if model.labels else _list_needless(config, path))]
    if faults:
        raise ConfigError(faults)
    values = {name: {**free.get(name, {}), **fixed.get(name, {})} for name in (*free, *fixed)}
    filled = fill_config(config, values, origin=f"train.init ({path})")
    train = filled.train.model_copy(update={"init": str(path)})
    return filled.model_copy(update={"train": train})


def check_init_folder(config: Config, out: Path) -> None:
    """Raise ConfigError if the folder ``out`` holds the initial model of ``config``."""
    if config.train.init is None:
        return
    path = Path(config.train.init)
    run, target = (path.parent if path.name == MODEL_NAME else path).resolve(), out.resolve()
    if target == run or run.is_relative_to(target):
        raise ConfigError(f"--out {out}: holds the model of train.init; name another folder with --out")


def _locate(path: Path) -> Path:
    """Return the run or model file that ``path`` means: the pointer and an experiment mean another folder.

    Raises:
        ModelError: there is no model.
    """
    path = find_latest("with train.init") if path == POINTER and path.is_file() else path
    path = find_best(path) or path
    find_model(path)
    return path


def _has_effect(key: str, config: Config) -> bool:
    """Return whether ``key`` can be taken over: a separator only for labels in one column."""
    return key != "label_separator" or not (config.data.label_columns or isinstance(config.data.label, list))


def _compare(config: Config, fixed: dict[str, dict[str, Any]], path: Path) -> list[str]:
    """Return the faults of keys that the user set to another value than the model's."""
    faults = []
    for name, section in config:
        for key, own in fixed.get(name, {}).items():
            if key in section.model_fields_set and (value := getattr(section, key)) != own:
                found = f"is {format_value(value)}, but that of train.init ({path}) is {format_value(own)}"
                faults.append(f"{name}.{key}: {found}; leave it out")
    return faults


def _list_needless(config: Config, path: Path) -> list[str]:
    """Return the faults of keys that keep what a model knows, with a starter, which knows no labels."""
    given = {"data.replay": config.data.replay, "train.distill_share": config.train.distill_share}
    reason = f"has no effect with train.init ({path}), which is a starter without labels; leave it out"
    return [f"{key}: {reason}" for key, value in given.items() if value]
