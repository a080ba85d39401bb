"""Evaluation of a multi-label model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.labels import MultiLabelSet, split_labels
from textrnn.data.reading.examples import Example
from textrnn.evaluation.metrics import Calibration, Floats, LabelCounts
from textrnn.evaluation.single_label import ClassScore
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.models.calibration import split_rows

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
    sets = [split_labels(example.label) for example in examples]
    unknown = sorted({label for labels in sets for label in labels} - set(engine.labels))
    labels, C = [*engine.labels, *unknown], len(engine.labels)
    index_of = {label: index for index, label in enumerate(labels)}
    members = MultiLabelSet.of([[index_of[label] for label in found] for found in sets], len(labels))
    counts, unknown_texts = LabelCounts.none(len(labels)), 0
    calibrated, uncalibrated = Calibration(), Calibration()
    for rows in split_rows(len(sets), len(labels)):
        part = engine.predict_logits([example.text for example in examples[rows]]) if logits is None else logits[rows]
        true = members.to_multi_hot(np.arange(len(sets))[rows])
        log_probabilities = engine.to_log_probabilities(part)
        counts += LabelCounts.of_sets(true, engine.assign_labels(log_probabilities, threshold=threshold))
        unknown_texts += int(true[:, C:].any(axis=1).sum())
        known = true[:, :C]
        _add(calibrated, part / np.float64(engine.temperature), log_probabilities, true=known)
        _add(uncalibrated, part / np.float64(1), engine.to_log_probabilities(part, temperature=1.0), true=known)
    thresholds = engine.thresholds.tolist() if threshold is None else [threshold] * C
    columns = (counts.precision.tolist(), counts.recall.tolist(), counts.f1.tolist(), counts.true.tolist())
    return MultiLabelEvaluation(
        texts=counts.texts,
        correct=counts.correct,
        **counts.summarize(),
        loss=calibrated.loss or 0.0,
        loss_uncalibrated=uncalibrated.loss or 0.0,
        calibration_error=calibrated.error,
        calibration_error_uncalibrated=uncalibrated.error,
        temperature=engine.temperature,
        unknown_texts=unknown_texts,
        unknown_labels=unknown,
        labels=labels,
        classes=[LabelScore(*row) for row in zip_longest(labels, *columns, thresholds)],
    )


def _add(sums: Calibration, logits: Floats, log_probabilities: Array, *, true: Matrix) -> None:
    """Add texts with the ``true`` labels (B, C), given their ``logits`` (B, C) divided by the temperature."""
    loss = float((np.logaddexp(0, logits) - np.where(true, logits, 0)).sum())
    sums.add(loss, len(true), probabilities=np.exp(log_probabilities).ravel(), correct=true.ravel())
