"""The evaluation page of a model of scores: one HTML file without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from markupsafe import Markup

from textrnn.config import Config
from textrnn.evaluation.regression import ScoreEvaluation
from textrnn.inference.engine import Engine
from textrnn.report.charts import PERCENT, Axis, Line, draw_bars, draw_lines
from textrnn.report.explained import Explainer
from textrnn.report.headline import Figure
from textrnn.report.model_card import Result, Results, write_model_card
from textrnn.report.observations import Batch
from textrnn.report.scores.score_observations import ScoreObservations, observe_scores
from textrnn.report.template import Origin, check_data, draw_learning, list_versions, read_command, render, show_config

_NAMES = {
    "mae": ("MAE", "mean absolute error, in the unit of the scores"),
    "rmse": ("RMSE", "root of the mean squared error, in the unit of the scores"),
    "pearson": ("Pearson", "correlation of predicted and true scores"),
}


def make_score_page(
    engine: Engine, batches: Iterable[Batch], config: Config, *, origin: Origin, pieces: int
) -> tuple[str, ScoreObservations]:
    """Evaluate ``engine``, a model of scores; see :func:`textrnn.report.evaluation_page.make_page`."""
    found = observe_scores(engine, batches)
    figures = list_score_figures(found)
    rows = [
        Result(figure.key, figure.name, getattr(found.evaluation, figure.key), figure.value, figure.interval)
        for figure in figures
    ]
    results = Results(origin.data, found.evaluation.texts, rows)
    view: dict[str, Any] = {
        "origin": origin,
        "check": check_data(origin.checked, engine, found.evaluation.texts),
        "evaluation": found.evaluation,
        "figures": figures,
        "scores": (engine.labels[0], engine.labels[-1]),
        "learning": draw_learning(origin.run, {"MAE": "mae", "RMSE": "rmse"}, Axis("error on the validation set")),
        "quantiles": _draw_quantiles(found),
        "quantile_rows": [
            [f"{each.true:.4g}", *(f"{value:.4g}" for value in each.quantiles), f"{each.texts:,}"]
            for each in found.columns
        ],
        "calibration": _draw_calibration(found.evaluation),
        "calibration_rows": [
            [*(f"{value:.4g}" for value in (each.low, each.high, each.predicted, each.true)), f"{each.texts:,}"]
            for each in found.evaluation.calibration
        ],
        "errors": draw_bars(
            found.histogram,
            Axis("predicted minus true score"),
            Axis("share of the texts", PERCENT),
            title="Distribution of errors",
        ),
        "lengths": _draw_lengths(found),
        "length_rows": [
            [f"{each.low:,} to {each.high:,}", f"{each.texts:,}", f"{each.mean:.4g}"] for each in found.by_length
        ],
        "mistakes": Explainer(engine, pieces).show(found.mistakes),
        "config": show_config(config),
        "trained_by": "" if origin.run is None else read_command(origin.run),
        "versions": list_versions(origin.version),
        "card": write_model_card(Path(origin.model).name, engine.model, results=results, version=origin.version),
    }
    return render("scores/score_page.html", view), found


def list_score_figures(found: ScoreObservations) -> list[Figure]:
    """Return the headline figures; a correlation that is not defined is left out."""
    figures = []
    for key, (name, note) in _NAMES.items():
        value, interval = getattr(found.evaluation, key), found.intervals.get(key)
        if value is not None:
            shown = None if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"
            figures.append(Figure(key, name, f"{value:.4f}", shown, note))
    return figures


def _draw_quantiles(found: ScoreObservations) -> Markup:
    lines = [
        Line(name, [(each.true, each.quantiles[index]) for each in found.columns], marks=True)
        for name, index in (("median", 1), ("10 %", 0), ("90 %", 2))
    ]
    ends = found.columns[0].true, found.columns[-1].true
    x, y = Axis("true score"), Axis("predicted score: quantiles")
    return draw_lines(lines, x, y, title="Predicted by true score", diagonal=ends)


def _draw_calibration(found: ScoreEvaluation) -> Markup:
    points = [(each.predicted, each.true) for each in found.calibration]
    x, y = Axis("mean predicted score"), Axis("mean true score")
    ends = points[0][0], points[-1][0]
    return draw_lines([Line("texts", points, marks=True)], x, y, title="Calibration", diagonal=ends)


def _draw_lengths(found: ScoreObservations) -> Markup | None:
    if len(found.by_length) < 2:
        return None
    points = [((each.low + each.high) / 2, each.mean) for each in found.by_length]
    x = Axis("length of the text, pieces", "~s")
    return draw_lines([Line("MAE", points, marks=True)], x, Axis("MAE"), title="Error by length")
