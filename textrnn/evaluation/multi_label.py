"""Evaluation of a multi-label model, and the lowest probabilities at which it assigns labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.labels import MultiLabelSet, split_labels
from textrnn.data.reading.examples import Example
from textrnn.evaluation.metrics import Calibration, Floats, LabelCounts, order_labels
from textrnn.evaluation.single_label import ClassScore
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.models.calibration import split_rows

Matrix = npt.NDArray[np.bool_]
"""The labels of texts: (B, C) bool."""
_DEFAULT_THRESHOLD = 0.5  # for a label that no text has


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
    builder = MultiLabelBuilder(engine, threshold=threshold)
    for rows in split_rows(len(examples), len(engine.labels)):
        part = engine.predict_logits([example.text for example in examples[rows]]) if logits is None else logits[rows]
        builder.add([example.label for example in examples[rows]], part)
    return builder.build()


class MultiLabelBuilder:
    """Collects a :class:`MultiLabelEvaluation` of the model of ``engine`` from one part of the data after another."""

    def __init__(self, engine: Engine, *, threshold: float | None = None) -> None:
        assert engine.thresholds is not None
        self._engine, self._threshold = engine, threshold
        self._thresholds = engine.thresholds.tolist() if threshold is None else [threshold] * len(engine.labels)
        self._index_of = {label: index for index, label in enumerate(engine.labels)}
        self._counts, self._unknown_texts = LabelCounts.none(len(engine.labels)), 0
        self._calibrated, self._uncalibrated = Calibration(), Calibration()

    def add(self, labels: Sequence[str], logits: Array) -> Matrix:
        """Add B texts with the true ``labels`` (those of one text are joined), given their ``logits`` (B, C).

        Return their labels (B, C and more): columns after the first C are labels that the model does not know.
        """
        engine, index_of, C = self._engine, self._index_of, len(self._engine.labels)
        sets = [[index_of.setdefault(label, len(index_of)) for label in split_labels(joined)] for joined in labels]
        true = MultiLabelSet.of(sets, len(index_of)).to_multi_hot(np.arange(len(sets)))
        log_probabilities = engine.to_log_probabilities(logits)
        assigned = engine.assign_labels(log_probabilities, threshold=self._threshold)
        self._counts = self._counts.widen(len(index_of)) + LabelCounts.of_sets(true, assigned)
        self._unknown_texts += int(true[:, C:].any(axis=1).sum())
        known = true[:, :C]
        _add(self._calibrated, logits / np.float64(engine.temperature), log_probabilities, true=known)
        uncalibrated = engine.to_log_probabilities(logits, temperature=1.0)
        _add(self._uncalibrated, logits / np.float64(1), uncalibrated, true=known)
        return true

    def build(self) -> MultiLabelEvaluation:
        """Return the evaluation of all texts added."""
        known = len(self._engine.labels)
        labels = [*self._index_of]
        order = order_labels(labels, known)
        labels, counts = [labels[index] for index in order], self._counts.select(order)
        columns = (counts.precision.tolist(), counts.recall.tolist(), counts.f1.tolist(), counts.true.tolist())
        return MultiLabelEvaluation(
            texts=counts.texts,
            correct=counts.correct,
            **counts.summarize(),
            loss=self._calibrated.loss or 0.0,
            loss_uncalibrated=self._uncalibrated.loss or 0.0,
            calibration_error=self._calibrated.error,
            calibration_error_uncalibrated=self._uncalibrated.error,
            temperature=self._engine.temperature,
            unknown_texts=self._unknown_texts,
            unknown_labels=labels[known:],
            labels=labels,
            classes=[LabelScore(*row) for row in zip_longest(labels, *columns, self._thresholds)],
        )


def _add(sums: Calibration, logits: Floats, log_probabilities: Array, *, true: Matrix) -> None:
    """Add texts with the ``true`` labels (B, C), given their ``logits`` (B, C) divided by the temperature."""
    loss = float((np.logaddexp(0, logits) - np.where(true, logits, 0)).sum())
    sums.add(loss, len(true), probabilities=np.exp(log_probabilities).ravel(), correct=true.ravel())


def tune_thresholds(true: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the threshold (C,) of each label with the highest F1, from ``true`` labels and ``probabilities`` (B, C).

    A threshold is halfway between two probabilities, so that rounding changes no label. Among equally good thresholds
    the highest is chosen. A label that no text has gets 0.5.
    """
    pairs = zip(true.T, probabilities.T, strict=True)
    return np.array([_tune_threshold(has, p.astype(np.float64)) for has, p in pairs])


def _tune_threshold(true: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float64]) -> float:
    if not true.any():
        return _DEFAULT_THRESHOLD
    order = np.argsort(-probabilities, kind="stable")
    falling = np.append(probabilities[order], 0.0)
    hits = np.cumsum(true[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + hits[-1])  # if the i likeliest texts get the label
    distinct = falling[:-1] > falling[1:]
    distinct[-1] = True
    best = int(np.argmax(np.where(distinct, f1, -1.0)))
    return float(falling[best] + falling[best + 1]) / 2
