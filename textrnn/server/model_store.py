"""The models of the server by name, and their replacement while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from textrnn.inference.engine import Engine

Load = Callable[[Path | None], Engine]
"""Loads the model at a path (None: the latest run)."""


class ModelStore:
    """Engines by the name of their model.

    Raises what ``load`` raises.
    """

    def __init__(self, paths: Mapping[str, Path | None], load: Load) -> None:
        self._paths, self._load = paths, load
        self._lock = threading.Lock()
        self.engines: Mapping[str, Engine] = {}
        self.reload()

    def reload(self) -> None:
        """Load all models again and replace the engines, if all of them can be loaded.

        Requests that have an engine keep it.
        """
        with self._lock:
            self.engines = {name: self._load(path) for name, path in self._paths.items()}

    def find(self, name: str | None) -> tuple[str, Engine]:
        """Return the name and engine of a model. None selects the only model. Raises KeyError for an unknown name."""
        engines = self.engines
        if name is None and len(engines) == 1:
            return next(iter(engines.items()))
        return str(name), engines[name or ""]
