"""The metrics that training is judged by, as scikit-learn defines them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score


def score(true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return accuracy, micro_f1 (which is the same), macro_f1 and weighted_f1 of predicted classes (B,).

    Class -1 is one that is never predicted.
    """
    accuracy = float(accuracy_score(true, predicted))
    return {
        "accuracy": accuracy,
        "micro_f1": accuracy,
        "macro_f1": float(f1_score(true, predicted, average="macro", zero_division=0)),
        "weighted_f1": float(f1_score(true, predicted, average="weighted", zero_division=0)),
    }


def score_sets(true: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return accuracy, micro_f1, macro_f1 and weighted_f1 of predicted sets of labels (B, C).

    Accuracy is the share of texts with all labels right and no other. ``true`` may have further columns, for labels
    that are never predicted. F1 averages run over the labels that a text has or was given.
    """
    # scikit-learn takes a single column for classes 0 and 1; one more that is empty changes no figure
    missing = true.shape[1] - predicted.shape[1]
    true = np.pad(true, ((0, 0), (0, 1)))
    predicted = np.pad(predicted, ((0, 0), (0, missing + 1)))
    found = np.flatnonzero(true.any(axis=0) | predicted.any(axis=0))
    scores = {"accuracy": float(accuracy_score(true, predicted))}
    for average in ("micro", "macro", "weighted"):
        f1 = f1_score(true, predicted, labels=found, average=average, zero_division=0) if len(found) else 0.0
        scores[f"{average}_f1"] = float(f1)
    return scores


def rank_by(metric: str, scores: Mapping[str, float], loss: float) -> float:
    """Return the number that is highest for the best epoch: the metric, or the loss turned round."""
    return -loss if metric == "loss" else scores[metric]
