"""textrnn: text classification with SRU, GRU and LSTM networks, from the command line and from Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from textrnn.errors import BackendError, ConfigError, DataError, ModelError, TextrnnError, TokenizerError

if TYPE_CHECKING:
    from textrnn.api import Explanation, Model, Part, Prediction
    from textrnn.inference import Precision

__version__ = "0.1.0"
__all__ = [
    "BackendError",
    "ConfigError",
    "DataError",
    "Explanation",
    "Model",
    "ModelError",
    "Part",
    "Prediction",
    "TextrnnError",
    "TokenizerError",
    "load",
]


def load(path: str | os.PathLike[str] | None = None, *, precision: Precision = "float32") -> Model:
    """Load a model for prediction: the file or run folder ``path``, or the latest run of the current folder.

    Products are made in ``precision``: float32, or with small changes of the probabilities bf16 or int8, which are
    faster, where the processor has them.

    Raises:
        ModelError: there is none, or it cannot be used.
        BackendError: the processor lacks what the precision needs.
    """
    from textrnn.api import Model  # noqa: PLC0415 - `textrnn --help` shall not wait for numpy

    return Model.load(path, precision=precision)


if not TYPE_CHECKING:  # to a type checker the names are those imported above, and no others

    def __getattr__(name: str) -> object:
        if name in ("Explanation", "Model", "Part", "Prediction"):
            import textrnn.api  # noqa: PLC0415

            return getattr(textrnn.api, name)
        raise AttributeError(f"module 'textrnn' has no attribute {name!r}")
