"""Thresholds of a multi-label model: the lowest probability at which a label is assigned."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_DEFAULT = 0.5  # for a label that no text has


def tune_thresholds(true: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the threshold (C,) of each label with the highest F1, from ``true`` labels and ``probabilities`` (B, C).

    A threshold is halfway between two probabilities, so that rounding changes no label. Among equally good thresholds
    the highest is chosen. A label that no text has gets 0.5.
    """
    pairs = zip(true.T, probabilities.T, strict=True)
    return np.array([_tune(has, p.astype(np.float64)) for has, p in pairs])


def _tune(true: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float64]) -> float:
    if not true.any():
        return _DEFAULT
    order = np.argsort(-probabilities, kind="stable")
    falling = np.append(probabilities[order], 0.0)
    hits = np.cumsum(true[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + hits[-1])  # if the i likeliest texts get the label
    distinct = falling[:-1] > falling[1:]
    distinct[-1] = True
    best = int(np.argmax(np.where(distinct, f1, -1.0)))
    return float(falling[best] + falling[best + 1]) / 2
