"""The configs of a distillation: how the labelled rows are read, and how the student is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textrnn.config import Config, Override, load_config
from textrnn.errors import ConfigError, ModelError

_ROW_KEYS = (
    *("train", "valid", "format", "encoding", "delimiter", "quoting", "label", "label_columns", "text", "group"),
    *("on_error", "valid_share"),
)
"""The keys of ``data`` that say where the labelled rows are and how they are read."""
_REFUSED_KEYS = {
    "data.target": "a student needs one label for each text; leave it out",
    "data.multi_label": "a student needs one label for each text; leave it out",
    "data.label_separator": "a student needs one label for each text; leave it out",
    "data.weight": "the rows of a student have no weights; leave it out",
    "data.fold": "a student has one validation set; leave it out",
    "data.train_share": "a student learns from all rows; leave it out",
    "data.test": "evaluate the student afterwards: textrnn evaluate -m RUN FILE",
    "train.refit": "a student needs a validation set; leave it out",
}

FAST = [
    Override(key, value, "--fast")
    for key, value in {
        "model.layers": 1,
        "model.hidden": 64,
        "model.embedding": 64,
        "model.bidirectional": False,
    }.items()
]
"""The settings of a student that predicts fast."""


def make_labelled_config(overrides: Sequence[Override], teacher: Config | None, *, name: str = "") -> Config:
    """Return the config that reads the labelled rows: those that ``overrides`` name, else those of the ``teacher``.

    ``name`` is that of the teacher.

    Raises:
        ConfigError: ``overrides`` set a key that a student cannot have, or no rows are named.
        ModelError: the rows of the teacher are gone.
    """
    if refused := [o for o in overrides if o.key in _REFUSED_KEYS]:
        raise ConfigError([f"{override.origin}: {_REFUSED_KEYS[override.key]}" for override in refused])
    if any(override.key == "data.train" for override in overrides):
        return load_config(overrides=overrides)
    if teacher is None:
        raise ConfigError("--answers: needs labelled rows for validation; name them with --train")
    files = [*teacher.data.training_files]
    if missing := next((path for path in files if not Path(path).exists()), None):
        cure = "name labelled rows with --train, and a validation set with --valid"
        raise ModelError(name, f"its training or validation set {missing} is not there; {cure}")
    own = [Override(f"data.{key}", getattr(teacher.data, key), f"data.{key}") for key in _ROW_KEYS]
    seed = Override("train.seed", teacher.train.seed, "train.seed")  # holds out the rows that the teacher held out
    return load_config(overrides=[*own, *overrides, seed])


def make_student_config(overrides: Sequence[Override], *, train: Path, valid: Path) -> Config:
    """Return the config of a student with the rows ``train`` and ``valid``, and all else as ``overrides`` say.

    Raises:
        ConfigError: a value is wrong, or contradicts another.
    """
    about_rows = {f"data.{key}" for key in _ROW_KEYS}
    rest = [override for override in overrides if override.key not in about_rows]
    own = {"data.train": str(train), "data.valid": str(valid)}
    return load_config(overrides=[*rest, *(Override(key, value, key) for key, value in own.items())])
