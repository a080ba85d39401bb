"""Evaluation of a single-label model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.reading.examples import Example
from textrnn.evaluation.metrics import Calibration, LabelCounts
from textrnn.evaluation.predictions import Predictions, Scores, predict_examples
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array

MAX_MATRIX_LABELS = 300
"""The confusion matrix of more labels is written as a list of its entries."""


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one label, in [0, 1], and the number of texts with it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """The result of ``textrnn evaluate`` for a single-label model.

    ``loss`` is the mean cross entropy over the texts whose label the model knows (None: no such text), in nats.
    ``calibration_error`` is the ECE of the predicted labels. The fields ``*_uncalibrated`` give both for a temperature
    of 1. An entry (i, j, n) of ``confusion`` counts the n > 0 texts of ``labels[i]`` predicted as ``labels[j]``.
    """

    texts: int
    correct: int
    accuracy: float
    macro_f1: float
    weighted_f1: float
    loss: float | None
    loss_uncalibrated: float | None
    calibration_error: float
    calibration_error_uncalibrated: float
    temperature: float
    unknown_texts: int
    unknown_labels: list[str]
    labels: list[str]
    classes: list[ClassScore]
    confusion: list[tuple[int, int, int]]

    @property
    def confusion_matrix(self) -> list[list[int]]:
        """The entry [i][j] counts the texts of ``labels[i]`` predicted as ``labels[j]``."""
        matrix = [[0] * len(self.labels) for _ in self.labels]
        for i, j, count in self.confusion:
            matrix[i][j] = count
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain values for JSON.

        ``confusion`` is the matrix, or with more than 300 labels the list of its entries [true, predicted, count] by
        the names of the labels.
        """
        if len(self.labels) <= MAX_MATRIX_LABELS:
            return {**asdict(self), "confusion": self.confusion_matrix}
        return {**asdict(self), "confusion": [[self.labels[i], self.labels[j], n] for i, j, n in self.confusion]}


def evaluate_single_label(engine: Engine, examples: Sequence[Example], *, logits: Array | None = None) -> Evaluation:
    """Evaluate ``engine`` on ``examples``; see :func:`evaluate_predictions`.

    ``logits`` (B, C) of the engine save computing them.
    """
    return evaluate_predictions(predict_examples(engine, examples, logits=logits))


def evaluate_predictions(predictions: Predictions) -> Evaluation:
    """Return the metrics of ``predictions``; a label that the model does not know counts as wrong.

    F1 averages run over the labels that occur in the data or were predicted, as in scikit-learn.
    """
    labels, known, true = predictions.labels, predictions.known, predictions.true.astype(np.int64)
    predicted = predictions.predicted.astype(np.int64)
    calibrated, uncalibrated = (_calibrate(predictions, s) for s in (predictions.calibrated, predictions.uncalibrated))
    counts = LabelCounts.of_classes(true, predicted, len(labels))
    scores = counts.summarize()
    columns = (counts.precision.tolist(), counts.recall.tolist(), counts.f1.tolist(), counts.true.tolist())
    return Evaluation(
        texts=counts.texts,
        correct=counts.correct,
        accuracy=scores["accuracy"],
        macro_f1=scores["macro_f1"],
        weighted_f1=scores["weighted_f1"],
        loss=calibrated.loss,
        loss_uncalibrated=uncalibrated.loss,
        calibration_error=calibrated.error,
        calibration_error_uncalibrated=uncalibrated.error,
        temperature=predictions.temperature,
        unknown_texts=int((true >= known).sum()),
        unknown_labels=[*labels[known:]],
        labels=[*labels],
        classes=[ClassScore(*row) for row in zip(labels, *columns, strict=True)],
        confusion=_count_pairs(true, predicted, len(labels)),
    )


def _calibrate(predictions: Predictions, scores: Scores) -> Calibration:
    sums, known = Calibration(), ~np.isnan(scores.loss)
    loss = float(scores.loss[known].sum(dtype=np.float64))
    sums.add(loss, int(known.sum()), probabilities=scores.confidence, correct=predictions.correct)
    return sums


def _count_pairs(true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], C: int) -> list[tuple[int, int, int]]:
    pairs, counts = np.unique(true * C + predicted, return_counts=True)
    return list(zip((pairs // C).tolist(), (pairs % C).tolist(), counts.tolist(), strict=True))
