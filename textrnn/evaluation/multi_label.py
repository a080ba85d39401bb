"""Evaluation of a multi-label model, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_fscore_support

from textrnn.data.examples import Example
from textrnn.data.labels import MultiLabelSet, split_labels
from textrnn.evaluation.metrics import add_empty_column, average_f1
from textrnn.evaluation.single_label import ClassScore
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.models.calibration import expected_calibration_error

Matrix = npt.NDArray[np.bool_]
"""The labels of texts: (B, C) bool."""


@dataclass(frozen=True)
class LabelScore(ClassScore):
    """The scores of one label and its ``threshold`` (None: the model does not know the label)."""

    threshold: float | None


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """The result of ``textrnn evaluate`` for a multi-label model.

    ``correct`` counts the texts whose label set is exactly right, ``accuracy`` is their share. ``loss`` is the binary
    cross entropy, added up over the labels that the model knows, as a mean over texts in nats. ``calibration_error`` is
    the ECE of the probabilities of all these labels. The fields ``*_uncalibrated`` give both for a temperature of 1. F1
    averages run over the labels that occur or were predicted.
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
    """Evaluate ``engine`` on ``examples``; a label that the model does not know counts as missed.

    ``threshold`` replaces the threshold of each label. ``logits`` (B, C) of the engine save computing them.
    """
    assert engine.thresholds is not None
    if logits is None:
        logits = engine.predict_logits([example.text for example in examples])
    sets = [split_labels(example.label) for example in examples]
    unknown = sorted({label for labels in sets for label in labels} - set(engine.labels))
    labels, C = [*engine.labels, *unknown], len(engine.labels)
    index_of = {label: index for index, label in enumerate(labels)}
    members = MultiLabelSet.of([[index_of[label] for label in found] for found in sets], len(labels))
    true = members.to_multi_hot(np.arange(len(sets)))
    assigned = np.zeros_like(true)
    log_probabilities = engine.to_log_probabilities(logits)
    assigned[:, :C] = engine.assign_labels(log_probabilities, threshold=threshold)
    uncalibrated = engine.to_log_probabilities(logits, temperature=1.0)
    correct = (true == assigned).all(axis=1)
    thresholds = engine.thresholds.tolist() if threshold is None else [threshold] * C
    columns = range(len(labels))
    scores = precision_recall_fscore_support(
        add_empty_column(true), add_empty_column(assigned), labels=columns, zero_division=0
    )
    return MultiLabelEvaluation(
        texts=len(sets),
        correct=int(correct.sum()),
        accuracy=float(correct.mean()),
        **average_f1(true, assigned),
        loss=_loss(logits / np.float64(engine.temperature), true[:, :C]),
        loss_uncalibrated=_loss(logits.astype(np.float64), true[:, :C]),
        calibration_error=_calibration_error(log_probabilities, true[:, :C]),
        calibration_error_uncalibrated=_calibration_error(uncalibrated, true[:, :C]),
        temperature=engine.temperature,
        unknown_texts=int(true[:, C:].any(axis=1).sum()),
        unknown_labels=unknown,
        labels=labels,
        classes=[
            LabelScore(label, float(p), float(r), float(f), int(n), minimum)
            for label, p, r, f, n, minimum in zip_longest(labels, *scores, thresholds)
        ],
    )


def _loss(logits: npt.NDArray[np.float64], true: Matrix) -> float:
    return float((np.logaddexp(0, logits) - np.where(true, logits, 0)).sum(axis=1).mean())


def _calibration_error(log_probabilities: Array, true: Matrix) -> float:
    return expected_calibration_error(np.exp(log_probabilities).ravel(), true.ravel())
