"""The ``-m`` option: which model a command works with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from textrnn.inference.engine import Engine

ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", "-m", metavar="RUN|FILE", help="A run folder or a model file; default: the latest run here."
    ),
]


def load_engine(model: Path | None) -> Engine:
    """Load the model that ``-m`` named, or the latest of this folder; raises ModelError."""
    from textrnn.inference.engine import Engine
    from textrnn.ops.memory import keep_freed_memory
    from textrnn.runs import find_latest

    keep_freed_memory()
    return Engine.load(model if model is not None else find_latest())
