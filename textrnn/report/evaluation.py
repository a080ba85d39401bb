"""Scoring a model on labelled text, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from textrnn.corpus.examples import Example
from textrnn.inference.engine import Engine


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one label in [0, 1], and the texts that have it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """What ``textrnn evaluate`` reports.

    ``loss`` is the mean of minus the logarithm of the right label's probability, over texts whose label the model knows
    (None where there are none). ``confusion[i][j]`` counts texts of ``labels[i]`` that were given ``labels[j]``.
    """

    texts: int
    correct: int
    accuracy: float
    macro_f1: float
    weighted_f1: float
    loss: float | None
    unknown_texts: int
    unknown_labels: list[str]
    labels: list[str]
    classes: list[ClassScore]
    confusion: list[list[int]]

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain values for JSON."""
        return asdict(self)


def evaluate(engine: Engine, examples: Sequence[Example]) -> Evaluation:
    """Score ``engine`` on ``examples``; a label that the model does not know is counted wrong.

    F1 averages run over the labels that stand in the data or among the predictions, as scikit-learn's do.
    """
    log_probabilities = engine.predict_log_probabilities([example.text for example in examples])
    true = [example.label for example in examples]
    predicted = [engine.labels[index] for index in log_probabilities.argmax(axis=1)]
    index_of = {label: index for index, label in enumerate(engine.labels)}
    losses = [-row[index_of[label]] for row, label in zip(log_probabilities, true, strict=True) if label in index_of]
    unknown = sorted(set(true) - set(engine.labels))
    labels = [*engine.labels, *unknown]
    per_class = precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)
    return Evaluation(
        texts=len(true),
        correct=sum(a == b for a, b in zip(true, predicted, strict=True)),
        accuracy=float(accuracy_score(true, predicted)),
        macro_f1=float(f1_score(true, predicted, average="macro", zero_division=0)),
        weighted_f1=float(f1_score(true, predicted, average="weighted", zero_division=0)),
        loss=float(np.mean(losses)) if losses else None,
        unknown_texts=len(true) - len(losses),
        unknown_labels=unknown,
        labels=labels,
        classes=[
            ClassScore(label, float(p), float(r), float(f), int(n))
            for label, p, r, f, n in zip(labels, *per_class, strict=True)
        ],
        confusion=confusion_matrix(true, predicted, labels=labels).tolist(),
    )
