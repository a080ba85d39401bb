"""The metrics that models are judged by, as scikit-learn defines them."""

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


def score_multi_label(true: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return accuracy, micro_f1, macro_f1 and weighted_f1 of predicted sets of labels (B, C).

    Accuracy is the share of texts with all labels right and no other. ``true`` may have further columns, for labels
    that are never predicted. F1 averages run over the labels that a text has or was given.
    """
    predicted = np.pad(predicted, ((0, 0), (0, true.shape[1] - predicted.shape[1])))
    return {"accuracy": float((true == predicted).all(axis=1).mean()), **average_f1(true, predicted)}


def average_f1(true: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return micro_f1, macro_f1 and weighted_f1 of sets of labels (B, C), over the labels that either has."""
    found = np.flatnonzero((true | predicted).any(axis=0))
    averages = ("micro", "macro", "weighted")
    if not len(found):
        return {f"{average}_f1": 0.0 for average in averages}
    true, predicted = widen(true), widen(predicted)
    scores = [f1_score(true, predicted, labels=found, average=average, zero_division=0) for average in averages]
    return {f"{average}_f1": float(score) for average, score in zip(averages, scores, strict=True)}


def widen(sets: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return ``sets`` (B, C) with an empty column more: scikit-learn takes a single one for classes 0 and 1."""
    return np.pad(sets, ((0, 0), (0, 1)))


def rank_by(metric: str, scores: Mapping[str, float], loss: float) -> float:
    """Return the number that is highest for the best epoch: the metric, or the loss turned round."""
    return -loss if metric == "loss" else scores[metric]
