"""Accuracy and F1 of predictions, by scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score


def single_label_metrics(true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return accuracy, micro_f1 (equal to it), macro_f1 and weighted_f1 of predicted classes (B,).

    Texts of class -1, which the model does not know, count as wrong.
    """
    accuracy = float(accuracy_score(true, predicted))
    return {
        "accuracy": accuracy,
        "micro_f1": accuracy,
        "macro_f1": float(f1_score(true, predicted, average="macro", zero_division=0)),
        "weighted_f1": float(f1_score(true, predicted, average="weighted", zero_division=0)),
    }


def multi_label_metrics(true: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return accuracy, micro_f1, macro_f1 and weighted_f1 of predicted label sets (B, C).

    Accuracy is the share of texts whose label set is exactly right. ``true`` may have more columns, for labels that the
    model does not know. F1 averages run over the labels that occur or were predicted.
    """
    predicted = np.pad(predicted, ((0, 0), (0, true.shape[1] - predicted.shape[1])))
    return {"accuracy": float((true == predicted).all(axis=1).mean()), **average_f1(true, predicted)}


def average_f1(true: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return micro_f1, macro_f1 and weighted_f1 of label sets (B, C), over the labels that occur in either."""
    labels = np.flatnonzero((true | predicted).any(axis=0))
    averages = ("micro", "macro", "weighted")
    if not len(labels):
        return {f"{average}_f1": 0.0 for average in averages}
    true, predicted = add_empty_column(true), add_empty_column(predicted)
    scores = [f1_score(true, predicted, labels=labels, average=average, zero_division=0) for average in averages]
    return {f"{average}_f1": float(score) for average, score in zip(averages, scores, strict=True)}


def add_empty_column(sets: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return label sets (B, C + 1): scikit-learn would read a single column as classes 0 and 1."""
    return np.pad(sets, ((0, 0), (0, 1)))


def rank_by(metric: str, scores: Mapping[str, float], loss: float) -> float:
    """Return a number that is highest for the best epoch: the metric, or the negative loss."""
    return -loss if metric == "loss" else scores[metric]
