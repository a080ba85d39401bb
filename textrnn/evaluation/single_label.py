"""Evaluation of a single-label model, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from textrnn.data.examples import Example
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.models.calibration import expected_calibration_error


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
    of 1. ``confusion[i][j]`` counts texts of ``labels[i]`` predicted as ``labels[j]``.
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
    confusion: list[list[int]]

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain values for JSON."""
        return asdict(self)


def evaluate_single_label(engine: Engine, examples: Sequence[Example], *, logits: Array | None = None) -> Evaluation:
    """Evaluate ``engine`` on ``examples``; a label that the model does not know counts as wrong.

    F1 averages run over the labels that occur in the data or were predicted, as in scikit-learn. ``logits`` (B, C) of
    the engine save computing them.
    """
    if logits is None:
        logits = engine.predict_logits([example.text for example in examples])
    true = [example.label for example in examples]
    index_of = {label: index for index, label in enumerate(engine.labels)}
    classes = np.array([index_of.get(label, -1) for label in true], np.int64)
    log_probabilities = engine.to_log_probabilities(logits)
    predicted = [engine.labels[index] for index in log_probabilities.argmax(axis=1)]
    loss, error = _measure(log_probabilities, classes)
    loss_uncalibrated, error_uncalibrated = _measure(engine.to_log_probabilities(logits, temperature=1.0), classes)
    unknown = sorted(set(true) - set(engine.labels))
    labels = [*engine.labels, *unknown]
    per_class = precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)
    return Evaluation(
        texts=len(true),
        correct=sum(a == b for a, b in zip(true, predicted, strict=True)),
        accuracy=float(accuracy_score(true, predicted)),
        macro_f1=float(f1_score(true, predicted, average="macro", zero_division=0)),
        weighted_f1=float(f1_score(true, predicted, average="weighted", zero_division=0)),
        loss=loss,
        loss_uncalibrated=loss_uncalibrated,
        calibration_error=error,
        calibration_error_uncalibrated=error_uncalibrated,
        temperature=engine.temperature,
        unknown_texts=int((classes < 0).sum()),
        unknown_labels=unknown,
        labels=labels,
        classes=[
            ClassScore(label, float(p), float(r), float(f), int(n))
            for label, p, r, f, n in zip(labels, *per_class, strict=True)
        ],
        confusion=confusion_matrix(true, predicted, labels=labels).tolist(),
    )


def _measure(log_probabilities: Array, classes: npt.NDArray[np.int64]) -> tuple[float | None, float]:
    """Return loss and ECE of ``log_probabilities`` (B, C) for true ``classes`` (B,), where -1 is unknown."""
    rows = np.flatnonzero(classes >= 0)
    loss = -float(log_probabilities[rows, classes[rows]].mean(dtype=np.float64)) if len(rows) else None
    correct = log_probabilities.argmax(axis=1) == classes
    return loss, expected_calibration_error(np.exp(log_probabilities.max(axis=1)), correct)
