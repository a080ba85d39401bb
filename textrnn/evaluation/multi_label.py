"""Scoring a model that gives a text several labels, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_fscore_support

from textrnn.data.formats import Example
from textrnn.data.labels import MultiLabelSet, split_labels
from textrnn.evaluation.metrics import average_f1, widen
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.models.calibration import measure_calibration_error

Matrix = npt.NDArray[np.bool_]
"""Which labels the texts have (B, C)."""


@dataclass(frozen=True)
class LabelScore:
    """Precision, recall and F1 of one label in [0, 1], the texts that have it, and the probability that gives it.

    ``threshold`` is None where the model does not know the label.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    threshold: float | None


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """What ``textrnn evaluate`` reports of a model that gives a text several labels.

    ``correct`` counts the texts with all labels right and no other, ``accuracy`` is their share. ``loss`` is the mean
    over texts of minus the logarithm of the probability of what they have, added up over the labels that the model
    knows. ``calibration_error`` is that of the probabilities of all these labels for all texts. Both are also there as
    they would be without calibration, with the ``temperature`` 1. F1 averages run over the labels that a text has or
    was given.
    """

    texts: int
    correct: int
    accuracy: float
    micro_f1: float
    macro_f1: float
    weighted_f1: float
    loss: float
    loss_uncalibrated: float
    calibration_error: float
    calibration_error_uncalibrated: float
    temperature: float
    unknown_texts: int
    unknown_labels: list[str]
    labels: list[str]
    classes: list[LabelScore]

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain values for JSON."""
        return asdict(self)


def evaluate_multi_label(
    engine: Engine, examples: Sequence[Example], *, threshold: float | None = None, logits: Array | None = None
) -> MultiLabelEvaluation:
    """Score ``engine`` on ``examples``; a label that the model does not know is missed.

    A label is given from its own threshold on or, where it is said, from ``threshold``. ``logits`` (B, C) are the
    engine's own, where they are there already.
    """
    assert engine.thresholds is not None
    if logits is None:
        logits = engine.predict_logits([example.text for example in examples])
    sets = [split_labels(example.label) for example in examples]
    unknown = sorted({label for labels in sets for label in labels} - set(engine.labels))
    labels, C = [*engine.labels, *unknown], len(engine.labels)
    places = {label: index for index, label in enumerate(labels)}
    members = MultiLabelSet.of([[places[label] for label in found] for found in sets], len(labels))
    true = members.to_multi_hot(np.arange(len(sets)))
    given = np.zeros_like(true)
    log_probabilities = engine.to_log_probabilities(logits)
    given[:, :C] = engine.assign_labels(log_probabilities, threshold=threshold)
    uncalibrated = engine.to_log_probabilities(logits, temperature=1.0)
    right = (true == given).all(axis=1)
    return MultiLabelEvaluation(
        texts=len(sets),
        correct=int(right.sum()),
        accuracy=float(right.mean()),
        **average_f1(true, given),
        loss=_find_loss(logits / np.float64(engine.temperature), true[:, :C]),
        loss_uncalibrated=_find_loss(logits.astype(np.float64), true[:, :C]),
        calibration_error=_find_error(log_probabilities, true[:, :C]),
        calibration_error_uncalibrated=_find_error(uncalibrated, true[:, :C]),
        temperature=engine.temperature,
        unknown_texts=int(true[:, C:].any(axis=1).sum()),
        unknown_labels=unknown,
        labels=labels,
        classes=_score_labels(
            true, given, labels, engine.thresholds.tolist() if threshold is None else [threshold] * C
        ),
    )


def _find_loss(logits: npt.NDArray[np.float64], true: Matrix) -> float:
    return float((np.logaddexp(0, logits) - np.where(true, logits, 0)).sum(axis=1).mean())


def _find_error(log_probabilities: Array, true: Matrix) -> float:
    return measure_calibration_error(np.exp(log_probabilities).ravel(), true.ravel())


def _score_labels(true: Matrix, given: Matrix, labels: Sequence[str], thresholds: Sequence[float]) -> list[LabelScore]:
    columns = range(len(labels))
    scores = precision_recall_fscore_support(widen(true), widen(given), labels=columns, zero_division=0)
    return [
        LabelScore(label, float(p), float(r), float(f), int(n), threshold)
        for label, p, r, f, n, threshold in zip_longest(labels, *scores, thresholds)
    ]
