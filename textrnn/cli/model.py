"""The options ``-m`` and ``--threshold``: which model a command works with, and when it gives a label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from textrnn.errors import ConfigError

if TYPE_CHECKING:
    from textrnn.inference.engine import Engine

ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", "-m", metavar="RUN|FILE", help="A run folder or a model file; default: the latest run here."
    ),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        min=0.0,
        max=1.0,
        metavar="P",
        help="Several labels a text: give those of probability P and more.  [default: a threshold for each, as tuned]",
    ),
]


def load_engine(model: Path | None) -> Engine:
    """Load the model that ``-m`` named, or the latest of this folder; raises ModelError."""
    from textrnn.inference.engine import Engine
    from textrnn.ops.memory import keep_freed_memory
    from textrnn.runs import find_latest

    keep_freed_memory()
    return Engine.load(model if model is not None else find_latest())


def check_threshold(engine: Engine, threshold: float | None) -> None:
    """Raise ConfigError where a threshold is given to a model that gives every text one label."""
    if threshold is not None and engine.thresholds is None:
        raise ConfigError(f"--threshold {threshold}: this model gives every text one label; leave it out")
