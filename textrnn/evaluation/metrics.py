"""Accuracy, precision, recall and F1 from the counts of each label, with the definitions of scikit-learn.

Counts of parts of the data add up, so that nothing of the size texts x labels is held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.models.calibration import CalibrationError

FEW_TEXTS, SMOOTHED_EPOCHS = 500, 5

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelCounts:
    """Counts of predictions: of each label (C,), and of texts.

    ``true`` texts have the label, ``predicted`` got it, ``hits`` both. ``correct`` of all ``texts`` got exactly their
    labels. A ratio without cases is 0.
    """

    true: Integers
    predicted: Integers
    hits: Integers
    correct: int
    texts: int

    @classmethod
    def of_classes(cls, true: Integers, predicted: Integers, C: int) -> LabelCounts:
        """Count the true and the predicted classes (B,) of single-label texts, each from 0 to C - 1."""
        right = true == predicted
        counts = [np.bincount(classes, minlength=C) for classes in (true, predicted, true[right])]
        return cls(counts[0], counts[1], counts[2], correct=int(right.sum()), texts=len(true))

    @classmethod
    def of_sets(cls, true: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> LabelCounts:
        """Count the true and the predicted label sets (B, C).

        ``true`` may have more columns, for labels that the model does not know.
        """
        predicted = np.pad(predicted, ((0, 0), (0, true.shape[1] - predicted.shape[1])))
        counts = [labels.sum(axis=0, dtype=np.int64) for labels in (true, predicted, true & predicted)]
        correct = int((true == predicted).all(axis=1).sum())
        return cls(counts[0], counts[1], counts[2], correct=correct, texts=len(true))

    @classmethod
    def none(cls, C: int) -> LabelCounts:
        """Return the counts of no text."""
        nothing = np.zeros((0, C), np.bool_)
        return cls.of_sets(nothing, nothing)

    def __add__(self, other: LabelCounts) -> LabelCounts:
        return LabelCounts(
            self.true + other.true,
            self.predicted + other.predicted,
            self.hits + other.hits,
            correct=self.correct + other.correct,
            texts=self.texts + other.texts,
        )

    def widen(self, C: int) -> LabelCounts:
        """Return the counts with zeros for more labels, ``C`` in all."""
        true, predicted, hits = (np.pad(c, (0, C - len(c))) for c in (self.true, self.predicted, self.hits))
        return LabelCounts(true, predicted, hits, correct=self.correct, texts=self.texts)

    def select(self, labels: Sequence[int]) -> LabelCounts:
        """Return the counts of ``labels``, in that order."""
        true, predicted, hits = (counts[[*labels]] for counts in (self.true, self.predicted, self.hits))
        return LabelCounts(true, predicted, hits, correct=self.correct, texts=self.texts)

    @property
    def precision(self) -> Floats:
        """The precision of each label (C,)."""
        return _divide(self.hits, self.predicted)

    @property
    def recall(self) -> Floats:
        """The recall of each label (C,)."""
        return _divide(self.hits, self.true)

    @property
    def f1(self) -> Floats:
        """The F1 of each label (C,)."""
        return _divide(2 * self.hits, self.true + self.predicted)

    def summarize(self) -> dict[str, float]:
        """Return accuracy, micro_f1, macro_f1 and weighted_f1.

        Accuracy is the share of texts with exactly the right labels. F1 averages run over the labels that occur or were
        predicted.
        """
        occurs, f1, texts = self.true + self.predicted > 0, self.f1, int(self.true.sum())
        return {
            "accuracy": self.correct / max(1, self.texts),
            "micro_f1": 2 * int(self.hits.sum()) / max(1, int((self.true + self.predicted).sum())),
            "macro_f1": float(f1[occurs].mean()) if occurs.any() else 0.0,
            "weighted_f1": float(f1 @ self.true) / max(1, texts),
        }


def order_labels(labels: Sequence[str], known: int) -> list[int]:
    """Return the indices of ``labels`` with the first ``known`` ones as they are, and the others sorted."""
    return [*range(known), *sorted(range(known, len(labels)), key=labels.__getitem__)]


class Calibration:
    """The mean loss and the calibration error of predictions at one temperature, added in parts."""

    def __init__(self) -> None:
        self._loss, self._texts, self._error = 0.0, 0, CalibrationError()

    def add(self, loss: float, texts: int, *, probabilities: npt.NDArray[Any], correct: npt.NDArray[np.bool_]) -> None:
        """Add the summed ``loss`` of ``texts`` texts, and predictions as :meth:`CalibrationError.add` takes them."""
        self._loss += loss
        self._texts += texts
        self._error.add(probabilities, correct)

    @property
    def loss(self) -> float | None:
        """The mean loss of a text, None without texts."""
        return self._loss / self._texts if self._texts else None

    @property
    def error(self) -> float:
        """The expected calibration error."""
        return self._error.mean


def _divide(counts: Integers, totals: Integers) -> Floats:
    return counts / np.maximum(totals, 1)


def rank_by(metric: str, scores: Mapping[str, float], loss: float) -> float:
    """Return a number that is highest for the best epoch: the metric, or the negative loss."""
    return -loss if metric == "loss" else scores[metric]


def is_best(ranks: Sequence[float], *, texts: int) -> bool:
    """Return whether the last epoch is the best, given the rank of each epoch by :func:`rank_by`.

    On fewer than 500 validation ``texts``, one epoch may be good by chance. Each then counts with the mean of its rank
    and of those of the four epochs before it.
    """
    window = SMOOTHED_EPOCHS if texts < FEW_TEXTS else 1
    means = [mean(ranks[max(0, end - window) : end]) for end in range(1, len(ranks) + 1)]
    return len(means) == 1 or means[-1] > max(means[:-1])
