"""The record of a validation set in a model file, by which later training recognizes its texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_HASHES = 1 << 17
"""The most hashes of validation texts in a model file."""

_KEY, _TENSOR = "validation", "validation.hashes"


@dataclass(frozen=True, eq=False)
class ValidationRecord:
    """The validation set of a model: the number of ``texts``, the model's ``figures`` on it, and ``hashes``.

    ``figures`` are the loss in nats per text, and the accuracy, micro_f1 or mae. ``hashes`` (H,) uint64, rising and
    distinct, are those of :class:`textrnn.preparation.text_hashes.TextHasher`: all, or the ``MAX_HASHES`` lowest.
    """

    texts: int
    figures: Mapping[str, float]
    hashes: npt.NDArray[np.uint64]

    def write(self, header: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Add the record to the header and the tensors of a model file."""
        header[_KEY] = {"texts": self.texts, **self.figures}
        tensors[_TENSOR] = self.hashes


def take_validation(tensors: dict[str, npt.NDArray[Any]], header: Mapping[str, Any]) -> ValidationRecord | None:
    """Remove the hashes from the ``tensors`` of a model file, and return the record, or None if it has none.

    Raises:
        TypeError: it is damaged.
    """
    hashes, record = tensors.pop(_TENSOR, None), header.get(_KEY)
    if record is None and hashes is None:
        return None
    if not isinstance(record, dict) or hashes is None or hashes.dtype != np.uint64 or hashes.ndim != 1:
        raise TypeError("the record of the validation set lacks a part, or has another")
    texts, figures = record.get("texts"), {name: value for name, value in record.items() if name != "texts"}
    if type(texts) is not int or texts < len(hashes) or (hashes[1:] <= hashes[:-1]).any():
        raise TypeError("the number of validation texts or their hashes are wrong")
    if not all(isinstance(value, float) and math.isfinite(value) for value in figures.values()):
        raise TypeError("a figure of the validation set is not a number")
    return ValidationRecord(texts, figures, hashes)
