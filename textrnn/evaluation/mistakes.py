"""The texts that a model gets wrong, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.data.labels import PRINTED_SEPARATOR, split_labels
from textrnn.data.reading.examples import Example
from textrnn.evaluation import MistakeOrder
from textrnn.evaluation.predictions import Predictions
from textrnn.inference.engine import Engine


@dataclass(frozen=True)
class Mistake:
    """A text with a wrong label: where it is, what it should get and what it gets, and how sure the model is.

    ``confidence`` is the probability of the predicted label; of a multi-label model, that of the least certain of its
    decisions for or against a label. ``margin`` is the lead over the second label, or the distance of the closest
    probability to its threshold. ``loss`` in nats is infinite if the model does not know the label.
    """

    line_number: int
    label: str
    predicted_label: str
    confidence: float
    margin: float
    loss: float
    text: str


def list_mistakes(predictions: Predictions, examples: Sequence[Example]) -> list[Mistake]:
    """Return the wrong ones of the ``predictions`` for ``examples``, in the order of the file."""
    labels, scores = predictions.labels, predictions.calibrated
    found = []
    for row in np.flatnonzero(~predictions.correct).tolist():
        loss = float(scores.loss[row])
        mistake = Mistake(
            line_number=examples[row].line_number,
            label=labels[predictions.true[row]],
            predicted_label=labels[predictions.predicted[row]],
            confidence=float(scores.confidence[row]),
            margin=float(predictions.margin[row]),
            loss=np.inf if np.isnan(loss) else loss,
            text=examples[row].text,
        )
        found.append(mistake)
    return found


def list_multi_label_mistakes(
    engine: Engine, examples: Sequence[Example], *, threshold: float | None = None
) -> list[Mistake]:
    """Return the ``examples`` whose label set the multi-label model of ``engine`` gets wrong, in the order of the file.

    ``threshold`` replaces the threshold of each label.
    """
    assert engine.thresholds is not None
    minimum = engine.thresholds if threshold is None else np.full(len(engine.labels), threshold)
    separator, known, found = engine.separator or PRINTED_SEPARATOR, np.array(engine.labels, object), []
    log_probabilities = engine.predict_log_probabilities([example.text for example in examples])
    for example, row in zip(examples, log_probabilities, strict=True):
        true, p = split_labels(example.label), np.exp(row.astype(np.float64))
        assigned = engine.assign_labels(row[None], threshold=threshold)[0]
        predicted = known[assigned].tolist()
        if set(predicted) == set(true):
            continue
        mistake = Mistake(
            line_number=example.line_number,
            label=separator.join(true),
            predicted_label=separator.join(predicted),
            confidence=float(np.where(assigned, p, 1 - p).min()),
            margin=float(np.abs(p - minimum).min()),
            loss=_measure_loss(p, np.isin(known, true)) if set(true) <= set(engine.labels) else np.inf,
            text=example.text,
        )
        found.append(mistake)
    return found


def rank_mistakes(mistakes: Sequence[Mistake], order: MistakeOrder) -> list[Mistake]:
    """Return ``mistakes`` with the highest confidence, loss or margin first; equal ones keep their order."""
    return sorted(mistakes, key=lambda mistake: -float(getattr(mistake, order)))


def _measure_loss(p: npt.NDArray[np.float64], has: npt.NDArray[np.bool_]) -> float:
    return float(-np.log(np.clip(np.where(has, p, 1 - p), 1e-30, None)).sum())
