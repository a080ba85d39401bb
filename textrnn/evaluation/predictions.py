"""Predictions of a model for labelled texts, in a few bytes for each text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.reading.examples import Example
from textrnn.evaluation.metrics import order_labels
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.models.calibration import split_rows

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scores:
    """Of B texts: the probability of the predicted label, and the cross entropy in nats; both (B,) float32.

    The loss is NaN for a label that the model does not know.
    """

    confidence: Floats
    loss: Floats


@dataclass(frozen=True, eq=False)
class Predictions:
    """The true and the predicted labels of B texts by a single-label model, and how sure it is.

    ``true`` and ``predicted`` (B,) int32 are indices of ``labels``: first the labels of the model, then, from ``known``
    on, those that it does not know, sorted. ``margin`` (B,) float32 is the probability of the predicted label minus
    that of the next one. ``uncalibrated`` are the scores at a temperature of 1 instead of ``temperature``.
    """

    labels: tuple[str, ...]
    known: int
    true: npt.NDArray[np.int32]
    predicted: npt.NDArray[np.int32]
    margin: Floats
    calibrated: Scores
    uncalibrated: Scores
    temperature: float

    def __len__(self) -> int:
        return len(self.true)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """A mask (B,) of the texts with the predicted label."""
        correct: npt.NDArray[np.bool_] = self.true == self.predicted
        return correct


class PredictionsBuilder:
    """Collects :class:`Predictions` of the model of ``engine`` from one part of the data after another."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._index_of = {label: index for index, label in enumerate(engine.labels)}
        self._parts: list[tuple[npt.NDArray[Any], ...]] = []

    def add(self, labels: Sequence[str], logits: Array) -> None:
        """Add B texts with the true ``labels``, given their ``logits`` (B, C)."""
        true = np.array([self._index_of.setdefault(label, len(self._index_of)) for label in labels], np.int32)
        calibrated = self._engine.to_log_probabilities(logits)
        uncalibrated = self._engine.to_log_probabilities(logits, temperature=1.0)
        predicted = calibrated.argmax(axis=1).astype(np.int32)
        scores = (*_score(calibrated, true), *_score(uncalibrated, true))
        self._parts.append((true, predicted, _measure_margins(calibrated), *scores))

    def build(self) -> Predictions:
        """Return the predictions of all texts added."""
        empty = (np.zeros(0, np.int32),) * 2 + (np.zeros(0, np.float32),) * 5
        columns = [np.concatenate(column) for column in zip(empty, *self._parts, strict=True)]
        known, labels = len(self._engine.labels), [*self._index_of]
        order = order_labels(labels, known)
        place = np.empty(len(order), np.int32)
        place[order] = np.arange(len(order))
        true, predicted, margin, *scores = columns
        return Predictions(
            tuple(labels[index] for index in order),
            known,
            place[true],
            predicted,
            margin,
            calibrated=Scores(*scores[:2]),
            uncalibrated=Scores(*scores[2:]),
            temperature=self._engine.temperature,
        )


def predict_examples(engine: Engine, examples: Sequence[Example], *, logits: Array | None = None) -> Predictions:
    """Return the predictions of ``engine``, a single-label model, for ``examples``.

    ``logits`` (B, C) of the engine save computing them.
    """
    builder = PredictionsBuilder(engine)
    for rows in split_rows(len(examples), len(engine.labels)):
        part = engine.predict_logits([example.text for example in examples[rows]]) if logits is None else logits[rows]
        builder.add([example.label for example in examples[rows]], part)
    return builder.build()


def _score(log_probabilities: Array, true: npt.NDArray[np.int32]) -> tuple[Floats, Floats]:
    loss = np.full(len(true), np.nan, np.float32)
    known = np.flatnonzero(true < log_probabilities.shape[1])
    loss[known] = -log_probabilities[known, true[known]]
    return np.exp(log_probabilities.max(axis=1)), loss


def _measure_margins(log_probabilities: Array) -> Floats:
    if log_probabilities.shape[1] < 2:
        return np.exp(log_probabilities[:, 0])
    best = np.exp(np.partition(log_probabilities, -2, axis=1)[:, -2:])
    margins: Floats = best[:, 1] - best[:, 0]
    return margins
