"""Training by a program, from texts in memory or from files."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from textrnn.api.labelled_texts import (
    WEIGHT,
    PathLike,
    check_path,
    check_weights,
    has_several,
    make_examples,
    write_examples,
)
from textrnn.api.model import Model
from textrnn.config import Config, DataConfig, Override, dump_yaml, load_config
from textrnn.errors import ConfigError, DataError, StoppedError
from textrnn.files import write_text
from textrnn.inference.engine import Engine
from textrnn.reporter import Reporter
from textrnn.serialization.initial_config import inherit_settings
from textrnn.serialization.latest_run import CONFIG_NAME
from textrnn.serialization.model_file import MODEL_NAME, parse_model, save_model

MEMORY = "<memory>"
"""Stands for the name of a file in the config of a model that was trained on texts in memory."""
_FILE_KEYS = (
    *("data.format", "data.text", "data.label", "data.label_columns", "data.weight"),
    *("data.encoding", "data.delimiter", "data.quoting"),
)
"""Settings that say how files are read."""

Valid = PathLike | tuple[Iterable[str], Iterable[Any]]

_lock = threading.Lock()  # a training seeds torch


def train(
    texts: PathLike | Iterable[str],
    labels: Iterable[Any] | None = None,
    *,
    weights: Iterable[float] | None = None,
    valid: Valid | None = None,
    out: PathLike | None = None,
    reporter: Reporter | None = None,
    **settings: Any,
) -> Model:
    """Train a model and load it.

    The same texts, settings, machine and number of threads give the same model, the one that ``textrnn train`` gives.
    Trainings in several threads run one after the other.

    Args:
        texts: B texts, or the path of a labelled file.
        labels: B labels: ``str`` or ``int``, or for a multi-label model a list of these for each text; or a dict of
            labels and probabilities. With ``data__target="score"`` a number for each text. None if ``texts`` is a path.
        weights: B weights of the texts in the loss, relative to their mean; None: all are alike. A file has its own,
            named by ``data__weight``.
        valid: the validation set: its texts and labels, or the path of a labelled file (None: a part of the training
            set is held out).
        out: the run folder to write (None: none; :meth:`Model.save` writes the model alone).
        reporter: receives notes and the figures of each epoch (None: nobody does).
        settings: keys of the config, with two underscores instead of the dot: ``train__epochs=5``,
            ``model__cell="gru"``. ``train__init`` names the run or model file to continue from.

    Raises:
        TypeError, ValueError: as :func:`textrnn.api.labelled_texts.make_examples`.
        ConfigError: a setting is unknown or has a wrong value, or ``out`` cannot be a run folder.
        DataError: a file is unusable, or there are too few texts.
        ModelError: the model of ``train__init`` is missing or damaged.
        TokenizerError, BackendError: as the command.
    """
    from textrnn.training.train import train as train_run  # noqa: PLC0415 - prediction must not load torch

    settings = {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in settings.items()}
    given = [Override(key.replace("__", "."), value, f"{key}={value!r}") for key, value in settings.items()]
    with tempfile.TemporaryDirectory(prefix="textrnn-") as name, _lock:
        folder = Path(name)
        initial = _read_initial(settings)
        is_score = settings.get("data__target", initial.target) == "score"
        several = initial.multi_label
        values = _write_files(folder, texts, labels, weights=weights, valid=valid, is_score=is_score, several=several)
        in_memory = "data.format" in values
        _check_keys(given, {*values, *(_FILE_KEYS if in_memory else ())})
        own = [Override(key, value, key) for key, value in values.items()]
        config = inherit_settings(load_config(overrides=[*own, *given]))
        run = folder / "run" if out is None else Path(out)
        try:
            train_run(config, run, reporter=reporter, is_latest=False)
        except StoppedError as error:
            signal.raise_signal(error.number)  # now it does what it does outside of a training
            raise
        except DataError as error:
            part = {values.get("data.train"): "texts", values.get("data.valid"): "valid"}.get(str(error.path))
            if not in_memory or part is None:
                raise
            raise DataError(part, error.line_number, error.reason) from None
        model = parse_model((run / MODEL_NAME).read_bytes(), name=run)
        if in_memory:  # the files are gone, and so is their format
            model = replace(model, config=_forget_files(model.config))
            if out is not None:
                save_model(run / MODEL_NAME, model)
                write_text(run / CONFIG_NAME, dump_yaml(model.config))
    return Model(Engine(model))


def _write_files(
    folder: Path,
    texts: PathLike | Iterable[str],
    labels: Iterable[Any] | None,
    *,
    weights: Iterable[float] | None,
    valid: Valid | None,
    is_score: bool,
    several: bool,
) -> dict[str, Any]:
    """Return the settings that name the training and the validation set; text in memory is written to ``folder``.

    ``several``: the initial model is a multi-label one.
    """
    if isinstance(texts, str | os.PathLike):
        if isinstance(valid, tuple):
            raise TypeError("valid: texts is a file, so name a file here too")
        if weights is not None:
            raise TypeError("weights: name the column of the file instead, as in data__weight='weight'")
        named = {"data.train": check_path(texts, labels)}
        return named if valid is None else named | {"data.valid": os.fspath(valid)}
    if valid is not None and not isinstance(valid, tuple):
        raise TypeError("valid: texts are in memory, so give a pair of texts and labels here too")
    listed = labels if labels is None or isinstance(labels, str | bytes | Mapping) else [*labels]
    parts = {"train": make_examples(texts, listed, is_score=is_score)}
    if valid is not None:
        parts["valid"] = make_examples(*valid, is_score=is_score)
    multi_label = several or any(map(has_several, listed or ()))
    values: dict[str, Any] = {"data.format": "jsonl", "data.multi_label": multi_label}
    if weights is not None:
        values["data.weight"] = WEIGHT
    for part, examples in parts.items():
        path = folder / f"{part}.jsonl"
        own = check_weights(weights, len(examples)) if part == "train" and weights is not None else None
        write_examples(path, examples, weights=own, multi_label=multi_label)
        values[f"data.{part}"] = str(path)
    return values


def _read_initial(settings: Mapping[str, Any]) -> DataConfig:
    """Return the settings of the data that the model of ``train__init`` decides; without one the defaults."""
    path = settings.get("train__init")
    if path is None:
        return DataConfig()
    return inherit_settings(load_config(overrides=[Override("train.init", path, f"train__init={path!r}")])).data


def _check_keys(given: list[Override], taken: set[str]) -> None:
    if wrong := [override for override in given if override.key in taken]:
        raise ConfigError([f"{o.origin}: {o.key} follows from texts and labels; leave it out" for o in wrong])


def _forget_files(config: Config) -> Config:
    """Return ``config`` with :data:`MEMORY` instead of the files of the text."""
    valid = None if config.data.valid is None else MEMORY
    values = {"train": MEMORY, "valid": valid, "format": DataConfig().format, "weight": None}
    return config.model_copy(update={"data": config.data.model_copy(update=values)})
