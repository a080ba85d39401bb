"""The configs of a distillation: how the labelled rows are read, and how the student is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textrnn.config import DEMO, Config, Override, as_list, load_config
from textrnn.data.reading.io import STDIN
from textrnn.errors import ConfigError, ModelError
from textrnn.serialization.run_folder import is_made_rows

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

UNSEEN = "name an unseen one with --valid"
"""What to do about a validation set that the teacher learned from."""
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
    given = {override.key for override in overrides}
    if "data.train" in given:
        return load_config(overrides=overrides)
    if teacher is None:
        raise ConfigError("--answers: needs labelled rows for validation; name them with --train")
    _check_rows(teacher, name=name, has_valid="data.valid" in given)
    columns = {"label", "label_columns"}
    keys = [key for key in _ROW_KEYS if key not in columns or not {f"data.{column}" for column in columns} & given]
    if "data.valid" in given:
        keys.remove("valid_share")
    own = [Override(f"data.{key}", getattr(teacher.data, key), f"data.{key}") for key in keys]
    seed = Override("train.seed", teacher.train.seed, "train.seed")  # holds out the rows that the teacher held out
    return load_config(overrides=[*own, *overrides, seed])


def _check_rows(teacher: Config, *, name: str, has_valid: bool) -> None:
    """Raise ModelError if the labelled rows of the ``teacher`` cannot be used; ``has_valid``: others validate."""
    cure = "name labelled rows with --train"
    for path in as_list(teacher.data.train) if has_valid else teacher.data.training_files:
        if path == STDIN:
            raise ModelError(name, f"was trained on standard input; {cure}")
        if path != DEMO and not Path(path).exists():
            raise ModelError(name, f"its file {path} is not there; {cure}, and a validation set with --valid")
        if is_made_rows(Path(path)):
            raise ModelError(name, f"is a student, whose training set has raw text; {cure}")
    if teacher.train.refit is not None and not has_valid:
        raise ModelError(name, f"was trained on all of its texts, the validation set too; {UNSEEN}")


def list_unused(teacher: Config) -> list[str]:
    """Return lines about what a student does not take from the rows of the ``teacher``, or from its validation."""
    lines = []
    if teacher.data.weight is not None:
        lines.append(f"the weights of the teacher's rows (data.weight={teacher.data.weight}) are not used")
    if teacher.data.replay is not None:
        lines.append("the teacher's replayed text (data.replay) is not used; name it with --train")
    if teacher.data.fold is not None:
        lines.append(f"the validation set has training texts of the teacher (data.fold={teacher.data.fold}); {UNSEEN}")
    return lines


def make_student_config(overrides: Sequence[Override], *, train: Path, valid: Path) -> Config:
    """Return the config of a student with the rows ``train`` and ``valid``, and all else as ``overrides`` say.

    Raises:
        ConfigError: a value is wrong, or contradicts another.
    """
    about_rows = {f"data.{key}" for key in _ROW_KEYS}
    rest = [override for override in overrides if override.key not in about_rows]
    own = {"data.train": str(train), "data.valid": str(valid)}
    return load_config(overrides=[*rest, *(Override(key, value, key) for key, value in own.items())])
