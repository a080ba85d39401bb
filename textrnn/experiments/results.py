"""Results of the runs of an experiment, with their means and standard deviations."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textrnn.evaluation.labelled_text import evaluate_file
from textrnn.evaluation.learning_curve import Curve
from textrnn.inference.engine import Engine
from textrnn.reporter import EpochRecord
from textrnn.training.train import Outcome

Scores = dict[str, float]

_NO_METRICS = {"epoch", "step", "loss", "valid_loss", "network_loss", "lr", "seconds", "tokens_per_second", "best"}


@dataclass(frozen=True)
class Result:
    """The best epoch of a finished run, with its metrics on the validation set and, if there is one, on the test set.

    Metrics are in [0, 1], ``loss`` in nats per text.
    """

    epoch: int
    valid: Scores
    test: Scores | None = None


@dataclass(frozen=True)
class Spread:
    """The mean over all runs, and their standard deviation (with n - 1; 0 for a single run)."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Summary:
    """The compared runs of an experiment by name, the best by ``metric`` on the validation set, and the spreads.

    ``curve`` is that of an experiment with parts of the training set.
    """

    kind: str
    metric: str
    best: str
    valid: dict[str, Spread]
    test: dict[str, Spread] | None
    runs: dict[str, Result]
    curve: Curve | None = None


def collect(outcome: Outcome) -> Result:
    """Return the result of a run; this evaluates the saved model on ``data.test``."""
    record, data = outcome.best, outcome.config.data
    test = None
    if data.test is not None:
        scores = evaluate_file(Engine.load(outcome.folder), data.test, data).to_dict()
        test = {name: scores[name] for name in select_metrics(record) if scores.get(name) is not None}
    return Result(record.epoch, select_metrics(record), test)


def select_metrics(record: EpochRecord) -> Scores:
    """Return the metrics of an epoch, of scores ``mae`` and ``rmse``, and its validation loss as ``loss``."""
    if record.mae is not None and record.rmse is not None:
        return {"loss": record.valid_loss, "mae": record.mae, "rmse": record.rmse}
    metrics = {name: value for name, value in vars(record).items() if name not in _NO_METRICS and value is not None}
    return {**metrics, "loss": record.valid_loss}


def summarize(kind: str, metric: str, runs: Mapping[str, Result], *, curve: Curve | None = None) -> Summary:
    """Return the summary of ``runs``; of equally good runs the first is the best."""
    sign = -1 if metric == "loss" else 1
    best = max(runs, key=lambda name: sign * runs[name].valid[metric])
    tests = [run.test for run in runs.values() if run.test is not None]
    valid = _spread([run.valid for run in runs.values()])
    return Summary(kind, metric, best, valid, _spread(tests) if tests else None, dict(runs), curve)


def _spread(scores: Sequence[Scores]) -> dict[str, Spread]:
    names = [name for name in scores[0] if all(name in other for other in scores)]
    columns = {name: [score[name] for score in scores] for name in names}
    return {
        name: Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)
        for name, values in columns.items()
    }


def format_score(metric: str, value: float, deviation: float | None = None) -> str:
    """Return a metric for display: ``macro F1 87.89 %``, or with a deviation ``macro F1 87.89 ± 0.42 %``."""
    factor, digits, unit = (1, 4, "") if metric in ("loss", "mae", "rmse") else (100, 2, " %")
    spread = "" if deviation is None else f" ± {factor * deviation:.{digits}f}"
    name = metric.upper() if metric in ("mae", "rmse") else metric.replace("_f1", " F1")
    return f"{name} {factor * value:.{digits}f}{spread}{unit}"
