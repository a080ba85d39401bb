"""Evaluation of a model of scores.

The bins of :func:`calibrate_scores` have about equal numbers of texts, so that none is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.reading.examples import Example
from textrnn.inference.engine import Engine

BINS = 10

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScoreBin:
    """The ``texts`` with predicted scores from ``low`` to ``high``, and their mean ``predicted`` and ``true`` score."""

    low: float
    high: float
    predicted: float
    true: float
    texts: int


@dataclass(frozen=True)
class ScoreEvaluation:
    """The result of ``textrnn evaluate`` for a model of scores, in the unit of the scores.

    An error is the predicted minus the true score: ``mae`` is the mean of its absolute value, ``rmse`` the root of the
    mean of its square, ``bias`` its mean. ``pearson`` and ``spearman`` are the correlations of predicted and true
    scores, ``r2`` is 1 minus the squared error as a share of that of the mean true score. They are None if all true
    scores are equal, the correlations also if all predicted ones are.
    """

    texts: int
    mae: float
    rmse: float
    bias: float
    pearson: float | None
    spearman: float | None
    r2: float | None
    calibration: list[ScoreBin]

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ScoreError:
    """A text with its line, the true and the predicted score, and the error: the predicted minus the true one."""

    line_number: int
    score: float
    predicted_score: float
    error: float
    text: str


def read_scores(labels: Sequence[str]) -> Scores:
    """Return the scores (B,) that ``labels`` are."""
    return np.array(labels, np.float64)


def predict_scores(engine: Engine, examples: Sequence[Example]) -> Scores:
    """Return the scores (B,) that ``engine`` predicts for ``examples``."""
    return engine.predict_scores([example.text for example in examples])


def evaluate_scores(predicted: Scores, true: Scores) -> ScoreEvaluation:
    """Return the metrics of ``predicted`` scores (B,), given the ``true`` ones (B,), as they are in the data."""
    errors = predicted - true
    total = np.square(true - true.mean()).sum()
    pearson, spearman = _correlate(predicted, true)
    return ScoreEvaluation(
        texts=len(true),
        mae=float(np.abs(errors).mean()),
        rmse=float(np.sqrt(np.square(errors).mean())),
        bias=float(errors.mean()),
        pearson=pearson,
        spearman=spearman,
        r2=float(1 - np.square(errors).sum() / total) if np.ptp(true) else None,
        calibration=calibrate_scores(predicted, true),
    )


def calibrate_scores(predicted: Scores, true: Scores) -> list[ScoreBin]:
    """Return up to ten bins of the texts by their ``predicted`` score (B,); equal ones share a bin."""
    edges = np.unique(np.quantile(predicted, np.arange(1, BINS + 1) / BINS, method="higher"))
    places = np.searchsorted(edges, predicted)
    bins = []
    for place in range(len(edges)):
        inside = places == place
        own = predicted[inside]
        means = float(own.mean()), float(true[inside].mean())
        bins.append(ScoreBin(float(own.min()), float(own.max()), *means, len(own)))
    return bins


def list_score_errors(examples: Sequence[Example], predicted: Scores) -> list[ScoreError]:
    """Return the error of each of ``examples``, the largest first; equal ones keep their order."""
    errors = predicted - read_scores([example.label for example in examples])
    return [
        ScoreError(
            line_number=examples[row].line_number,
            score=float(examples[row].label),
            predicted_score=float(predicted[row]),
            error=float(errors[row]),
            text=examples[row].text,
        )
        for row in np.argsort(-np.abs(errors), kind="stable").tolist()
    ]


def _correlate(predicted: Scores, true: Scores) -> tuple[float | None, float | None]:
    """Return Pearson's and Spearman's correlation, None for a constant."""
    if not np.ptp(predicted) or not np.ptp(true):
        return None, None
    from scipy.stats import pearsonr, spearmanr  # noqa: PLC0415 - its import takes half a second

    return float(pearsonr(predicted, true)[0]), float(spearmanr(predicted, true)[0])
