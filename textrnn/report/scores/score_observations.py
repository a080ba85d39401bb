"""One pass over scored text that keeps what the page shows: some bytes of each text, and samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from textrnn.evaluation.regression import ScoreEvaluation, Scores, evaluate_scores, read_scores
from textrnn.inference.engine import Engine
from textrnn.native.malloc import give_back_freed_memory
from textrnn.report.curves import LengthBin, measure_by_length
from textrnn.report.intervals import RESAMPLES, Interval, bound
from textrnn.report.observations import SHOWN_TEXTS, Batch, resize_batches
from textrnn.report.samples import EXTREME_CHARACTERS, Extremes, Sample, cut

_SEED = 0
_GROUPS = 1024  # of texts that are resampled together; below this number each text is one
_MAX_COLUMNS, _BARS = 20, 30
_QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Column:
    """The texts of a mean ``true`` score: the 10 %, 50 % and 90 % quantiles of the predicted one, and their number."""

    true: float
    quantiles: tuple[float, float, float]
    texts: int


@dataclass(frozen=True)
class ScoreObservations:
    """What the page shows of the evaluated texts; ``histogram`` has bars (low, high, share of the texts) of errors."""

    evaluation: ScoreEvaluation
    intervals: dict[str, Interval]
    columns: list[Column]
    histogram: list[tuple[float, float, float]]
    by_length: list[LengthBin]
    mistakes: list[Sample]


def observe_scores(engine: Engine, batches: Iterable[Batch]) -> ScoreObservations:
    """Evaluate ``engine``, a model of scores, on ``batches``, of which one is held at a time."""
    parts: list[tuple[Scores, Scores]] = []
    measured: list[npt.NDArray[np.int32]] = []
    extremes = Extremes(SHOWN_TEXTS)
    for labels, texts in resize_batches(batches, len(engine.labels)):
        ids, lengths = engine.encode(texts)
        predicted = engine.to_scores(engine.to_log_probabilities(engine.forward_ids(ids, lengths)))
        true = read_scores(labels)
        parts.append((predicted, true))
        measured.append(lengths.astype(np.int32))
        errors = np.abs(predicted - true).astype(np.float32)
        for row in extremes.choose(errors):
            text = cut(texts[row], EXTREME_CHARACTERS)
            extremes.add(float(errors[row]), Sample(text, f"{true[row]:g}", f"{predicted[row]:.4g}", 0.0))
    give_back_freed_memory()
    predicted, true = (np.concatenate(column) for column in zip(*parts, strict=True))
    evaluation = evaluate_scores(predicted, true)
    return ScoreObservations(
        evaluation,
        compute_score_intervals(predicted, true),
        trace_quantiles(predicted, true),
        count_errors(predicted - true),
        measure_by_length(np.concatenate(measured), np.abs(predicted - true)),
        extremes.samples,
    )


def compute_score_intervals(predicted: Scores, true: Scores) -> dict[str, Interval]:
    """Return the 95 % bootstrap intervals of mae, rmse and pearson.

    Random groups of texts are resampled if there are many texts; their mean varies as that of texts does.
    """
    rng = np.random.default_rng(_SEED)
    errors = predicted - true
    x, y = predicted - predicted.mean(), true - true.mean()  # sums of squares lose no digits
    moments = np.stack([np.ones(len(x)), np.abs(errors), np.square(errors), x, y, x * x, y * y, x * y], axis=1)
    starts = np.linspace(0, len(x), min(len(x), _GROUPS), endpoint=False).astype(np.int64)
    groups = np.add.reduceat(moments[rng.permutation(len(x))], starts)
    drawn = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=RESAMPLES)
    sums = (drawn @ groups).T
    absolute, square, x1, y1, x2, y2, xy = sums[1:] / sums[0]
    variances = (x2 - np.square(x1)) * (y2 - np.square(y1))
    found = {"mae": bound(absolute), "rmse": bound(np.sqrt(square))}
    if (variances > 0).all():
        found["pearson"] = bound((xy - x1 * y1) / np.sqrt(variances))
    return found


def trace_quantiles(predicted: Scores, true: Scores) -> list[Column]:
    """Return the predicted scores by true score: by each one, or by up to 20 bins of about equal size."""
    edges = np.unique(true)
    if len(edges) > _MAX_COLUMNS:
        edges = np.unique(np.quantile(true, np.arange(1, _MAX_COLUMNS + 1) / _MAX_COLUMNS, method="higher"))
    places = np.searchsorted(edges, true)
    columns = []
    for place in range(len(edges)):
        inside = places == place
        low, middle, high = np.quantile(predicted[inside], _QUANTILES).tolist()
        columns.append(Column(float(true[inside].mean()), (low, middle, high), int(inside.sum())))
    return columns


def count_errors(errors: Scores) -> list[tuple[float, float, float]]:
    """Return bars (low, high, share of the texts) of equal width; the outermost ones hold the most extreme 0.2 %."""
    low, high = np.quantile(errors, [0.001, 0.999]).tolist()
    if low == high:
        return [(low, high, 1.0)]
    counts, edges = np.histogram(np.clip(errors, low, high), bins=_BARS)
    pairs = zip(pairwise(edges.tolist()), (counts / len(errors)).tolist(), strict=True)
    return [(left, right, share) for (left, right), share in pairs]
