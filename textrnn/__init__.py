"""textrnn: text classification with SRU, GRU and LSTM networks, from the command line and from Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from textrnn.errors import BackendError, ConfigError, DataError, ModelError, TextrnnError, TokenizerError

if TYPE_CHECKING:
    from textrnn.api import Explanation, Model, Part, Prediction, train
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
    "train",
]


def load(path: str | os.PathLike[str] | None = None, *, precision: Precision = "fp32") -> Model:
    """Load a model for prediction: the model file or run folder ``path``, or the latest run of the current folder.

    ``precision`` is that of matrix products: fp32, or bf16 or int8, which are faster on processors that support them
    and change the probabilities slightly.

    Raises:
        ModelError: there is no model, or it is damaged.
        BackendError: the processor does not support the precision.
        ValueError: there is no such precision.
    """
    from textrnn.api import Model  # noqa: PLC0415 - `textrnn --help` must not load numpy

    return Model.load(path, precision=precision)


if not TYPE_CHECKING:  # a type checker uses the imports above

    def __getattr__(name: str) -> object:
        if name in ("Explanation", "Model", "Part", "Prediction", "train"):
            import textrnn.api  # noqa: PLC0415

            return getattr(textrnn.api, name)
        raise AttributeError(f"module 'textrnn' has no attribute {name!r}")
