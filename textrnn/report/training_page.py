"""The evaluation page of a training, on its validation set."""

from __future__ import annotations

from pathlib import Path

from textrnn.config import DEMO, Config, DataConfig
from textrnn.files import shipped
from textrnn.inference.engine import Engine
from textrnn.preparation.dataset import read_validation_texts
from textrnn.report.evaluation_page import make_page
from textrnn.report.template import Origin, read_command

_EXPLAINED_PIECES = 100_000  # a quarter of what 'textrnn report' takes: training should not wait for it


def make_training_page(run: Path, config: Config, *, version: str) -> str:
    """Return the page of the finished ``run`` of ``config`` on its validation set."""
    name, checked = _describe_validation(config)
    origin = Origin(model=str(run), data=name, command=read_command(run), version=version, run=run, checked=checked)
    texts = read_validation_texts(config)
    return make_page(Engine.load(run), texts, config, origin=origin, pieces=_EXPLAINED_PIECES)[0]


def _describe_validation(config: Config) -> tuple[str, tuple[str, DataConfig] | str]:
    """Return a name for the validation set, and the file to check, or why there is none."""
    valid = config.data.valid
    if config.data.train == DEMO and config.data.fold is None:
        valid = str(shipped("demo") / "valid.tsv")
    if valid is not None:
        return valid, (valid, config.data)
    what = "the validation set" if config.data.fold is None else f"fold {config.data.fold}"
    return (
        f"{what}, held out from the training set",
        "The texts are a part of the training set, which textrnn data check checks.",
    )
