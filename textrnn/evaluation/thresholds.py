"""From which probability a text is given a label, where it may have several."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_UNKNOWN = 0.5  # of a label that no text has


def tune_thresholds(true: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return for each label the threshold (C,) with the highest F1 on these texts.

    Args:
        true: which labels the texts have (B, C).
        probabilities: (B, C).

    It lies halfway between two probabilities, so that rounding moves no text over it. Where several are as good it is
    the highest, and 0.5 where no text has the label.
    """
    pairs = zip(true.T, probabilities.T, strict=True)
    return np.array([_tune(has, p.astype(np.float64)) for has, p in pairs])


def _tune(true: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float64]) -> float:
    if not true.any():
        return _UNKNOWN
    order = np.argsort(-probabilities, kind="stable")
    falling = np.append(probabilities[order], 0.0)
    hits = np.cumsum(true[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + hits[-1])  # when so many of the likeliest texts get the label
    apart = falling[:-1] > falling[1:]
    apart[-1] = True
    best = int(np.argmax(np.where(apart, f1, -1.0)))
    return float(falling[best] + falling[best + 1]) / 2
