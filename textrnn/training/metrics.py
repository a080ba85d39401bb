"""The metrics that training is judged by, as scikit-learn defines them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score


def score(true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return accuracy, macro_f1 and weighted_f1 of predicted classes (B,); class -1 is one that is never predicted."""
    return {
        "accuracy": float(accuracy_score(true, predicted)),
        "macro_f1": float(f1_score(true, predicted, average="macro", zero_division=0)),
        "weighted_f1": float(f1_score(true, predicted, average="weighted", zero_division=0)),
    }


def rank_by(metric: str, scores: Mapping[str, float], loss: float) -> float:
    """Return the number that is highest for the best epoch: the metric, or the loss turned round."""
    return -loss if metric == "loss" else scores[metric]
