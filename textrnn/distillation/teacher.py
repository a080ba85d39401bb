"""Teachers: one model, or several whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.config import Config
from textrnn.errors import ConfigError, ModelError
from textrnn.inference.engine import Engine
from textrnn.serialization.latest_run import is_experiment
from textrnn.serialization.refit import list_runs

Probabilities = npt.NDArray[np.float32]

_BLOCK = 4096  # texts predicted at once


class Teacher:
    """The models ``engines``, which have the same labels; ``name`` stands for them in messages."""

    def __init__(self, name: str, engines: Sequence[Engine]) -> None:
        self.name, self._engines = name, engines
        self.labels = engines[0].labels

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Teacher:
        """Load the models, runs and experiments at ``paths``; an experiment gives all its runs.

        Raises:
            ModelError: one is missing, damaged or unfinished, or has other labels than the first.
            ConfigError: one predicts several labels or scores.
        """
        engines: list[Engine] = []
        for path in paths:
            for folder in list_runs(path) if is_experiment(path) else [path]:
                engines.append(engine := Engine.load(folder))
                if engine.thresholds is not None or engine.anchors is not None:
                    kind = "is multi-label" if engine.anchors is None else "predicts scores"
                    raise ConfigError(f"-m {folder}: the model {kind}; a teacher needs one label for each text")
                if engine.labels != engines[0].labels:
                    raise ModelError(folder, f"has other labels than {paths[0]}; teachers need the same ones")
        return cls(", ".join(map(str, paths)), engines)

    @property
    def config(self) -> Config:
        """The config of the first model."""
        return self._engines[0].model.config

    def __len__(self) -> int:
        return len(self._engines)

    def predict(self, texts: Sequence[str], *, threads: int | None = None) -> Probabilities:
        """Return the mean over the models of the probabilities (B, C) float32 of each text's labels."""
        mean = np.zeros((len(texts), len(self.labels)), np.float32)
        for start in range(0, len(texts), _BLOCK):
            block = texts[start : start + _BLOCK]
            for engine in self._engines:
                mean[start : start + _BLOCK] += np.exp(engine.predict_log_probabilities(block, threads=threads))
        mean /= len(self._engines)
        return mean
