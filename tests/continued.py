"""Training that continues from the model of the fixture ``old_run``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samples import make_config
from textrnn.config import Config
from textrnn.preparation.dataset import Dataset, load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.initial_config import inherit_settings

TEXTS = {
    "tea": "green tea with lemon",
    "coffee": "black coffee with milk",
    "juice": "cold orange juice",
    "water": "still water please",
}


def write_drinks(path: str, *labels: str, rows: int = 40, first: int = 0) -> str:
    """Write ``rows`` texts with the ``labels`` in turn, numbered from ``first``; return the path."""
    turns = [(labels[n % len(labels)], n) for n in range(first, first + rows)]
    lines = [f"{label}\t{TEXTS[label.lower()]} {n}\n" for label, n in turns]
    Path(path).write_text("".join(lines), encoding="utf-8")
    return path


def continued(path: str, init: Path | str = "runs/old", **values: Any) -> Config:
    """Return a config that continues from ``init`` with the text in ``path``."""
    defaults = {"data__train": path, "train__init": str(init), "train__epochs": 2, "train__batch_size": 8}
    return make_config(**(defaults | values))


def load_continued(path: str, **values: Any) -> Dataset:
    """Return the data set of :func:`continued`."""
    return load_dataset(inherit_settings(continued(path, **values)), Reporter())
