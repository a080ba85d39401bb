"""Evaluation of a single-label model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.reading.examples import Example
from textrnn.evaluation.metrics import Calibration, LabelCounts
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.models.calibration import split_rows

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
    """Evaluate ``engine`` on ``examples``; a label that the model does not know counts as wrong.

    F1 averages run over the labels that occur in the data or were predicted, as in scikit-learn. ``logits`` (B, C) of
    the engine save computing them.
    """
    C, unknown = len(engine.labels), sorted({example.label for example in examples} - set(engine.labels))
    labels = [*engine.labels, *unknown]
    index_of = {label: index for index, label in enumerate(labels)}
    true = np.array([index_of[example.label] for example in examples], np.int64)
    predicted, calibrated, uncalibrated = np.zeros_like(true), Calibration(), Calibration()
    for rows in split_rows(len(true), C):
        part = engine.predict_logits([example.text for example in examples[rows]]) if logits is None else logits[rows]
        log_probabilities = engine.to_log_probabilities(part)
        predicted[rows] = log_probabilities.argmax(axis=1)
        _add(calibrated, log_probabilities, true[rows])
        _add(uncalibrated, engine.to_log_probabilities(part, temperature=1.0), true[rows])
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
        temperature=engine.temperature,
        unknown_texts=int((true >= C).sum()),
        unknown_labels=unknown,
        labels=labels,
        classes=[ClassScore(*row) for row in zip(labels, *columns, strict=True)],
        confusion=_count_pairs(true, predicted, len(labels)),
    )


def _add(sums: Calibration, log_probabilities: Array, classes: npt.NDArray[np.int64]) -> None:
    """Add texts of the true ``classes`` (B,); those from C on are unknown, and have no loss."""
    known = np.flatnonzero(classes < log_probabilities.shape[1])
    loss = -float(log_probabilities[known, classes[known]].sum(dtype=np.float64))
    correct = log_probabilities.argmax(axis=1) == classes
    sums.add(loss, len(known), probabilities=np.exp(log_probabilities.max(axis=1)), correct=correct)


def _count_pairs(true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], C: int) -> list[tuple[int, int, int]]:
    pairs, counts = np.unique(true * C + predicted, return_counts=True)
    return list(zip((pairs // C).tolist(), (pairs % C).tolist(), counts.tolist(), strict=True))
