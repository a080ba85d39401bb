"""The evaluation page of a model: one HTML file without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from textrnn.config import Config
from textrnn.evaluation.multi_label import LabelScore, MultiLabelEvaluation
from textrnn.inference.engine import Engine
from textrnn.report.charts import PERCENT, Axis, Line, draw_lines
from textrnn.report.confusion import LEVELS, HeatMap, draw_heat_map
from textrnn.report.curve_page import show_curve
from textrnn.report.explained import PIECES, Explainer
from textrnn.report.headline import format_metric, list_figures
from textrnn.report.markup import abbreviate
from textrnn.report.model_card import Result, Results, write_model_card
from textrnn.report.observations import Batch, Observations, observe
from textrnn.report.scores.score_observations import ScoreObservations
from textrnn.report.scores.score_page import make_score_page
from textrnn.report.template import Origin, check_data, draw_learning, list_versions, read_command, render, show_config

MAX_CLASSES = 300
"""Of more classes the most frequent ones are in the table."""
_PROBABILITY, _SHARE = (0.0, 1.0), (0.0, 1.0)


def make_page(
    engine: Engine,
    batches: Iterable[Batch],
    config: Config,
    *,
    origin: Origin,
    threshold: float | None = None,
    pieces: int = PIECES,
) -> tuple[str, Observations | ScoreObservations]:
    """Evaluate ``engine``, a model trained by ``config``, on ``batches``; return the page, and what was observed.

    ``pieces`` limits the cost of explaining texts.
    """
    if engine.anchors is not None:
        return make_score_page(engine, batches, config, origin=origin, pieces=pieces)
    found = observe(engine, batches, threshold=threshold)
    figures = list_figures(found)
    explainer = Explainer(engine, pieces)
    rows = [
        Result(figure.key, figure.name, number, figure.value, figure.interval)
        for figure in figures
        if (number := getattr(found.evaluation, figure.key)) is not None
    ]
    results = Results(origin.data, found.evaluation.texts, rows)
    card = write_model_card(Path(origin.model).name, engine.model, results=results, version=origin.version)
    view: dict[str, Any] = {
        "origin": origin,
        "check": check_data(origin.checked, engine, found.evaluation.texts),
        "evaluation": found.evaluation,
        "multi_label": isinstance(found.evaluation, MultiLabelEvaluation),
        "figures": figures,
        "curve": None if origin.run is None else show_curve(origin.run.parent),
        "learning": _draw_learning(origin.run, is_multi_label=isinstance(found.evaluation, MultiLabelEvaluation)),
        "heat_map": _draw_confusion(found),
        "levels": LEVELS,
        "thresholds": _draw_thresholds(found),
        "reliability": _draw_reliability(found),
        "coverage": _draw_coverage(found),
        "lengths": _draw_lengths(found),
        "threshold_rows": [[f"{t:.2f}", _percent(p), _percent(r)] for t, p, r in found.thresholds[::5]],
        "reliability_rows": [[_percent(p), _percent(right), f"{n:,}"] for p, right, n in found.reliability],
        "coverage_rows": [[_percent(c), _percent(right)] for c, right in (found.coverage or [])[4::5]],
        "length_rows": [[_range(b.low, b.high), f"{b.texts:,}", _percent(b.mean)] for b in found.by_length],
        "saved": _show_saved(found, engine),
        "classes": _list_classes(found, engine.confidence_thresholds),
        "hidden_classes": max(0, len(found.evaluation.classes) - MAX_CLASSES),
        "label_errors": found.label_errors,
        "mistakes": explainer.show(found.mistakes),
        "doubts": explainer.show(found.doubts),
        "config": show_config(config),
        "trained_by": "" if origin.run is None else read_command(origin.run),
        "versions": list_versions(origin.version),
        "card": card,
    }
    return render("page.html", view), found


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _draw_learning(run: Path | None, *, is_multi_label: bool) -> list[Markup]:
    first, name = ("micro_f1", "micro F1") if is_multi_label else ("accuracy", "accuracy")
    return draw_learning(run, {name: first, "macro F1": "macro_f1"}, Axis("on the validation set", PERCENT))


def _draw_confusion(found: Observations) -> HeatMap | None:
    if found.cells is None or isinstance(found.evaluation, MultiLabelEvaluation):
        return None
    return draw_heat_map(found.evaluation, found.cells)


def _draw_thresholds(found: Observations) -> Markup:
    precision = Line("precision", [(threshold, value) for threshold, value, _ in found.thresholds])
    recall = Line("recall", [(threshold, value) for threshold, _, value in found.thresholds])
    x = Axis("confidence threshold" if found.coverage is not None else "threshold of all labels", PERCENT, _PROBABILITY)
    title = "Precision and recall by threshold"
    return draw_lines([precision, recall], x, Axis("share", PERCENT, _SHARE), title=title)


def _draw_reliability(found: Observations) -> Markup:
    lines = [Line("calibrated", [(mean, right) for mean, right, _ in found.reliability], marks=True)]
    if found.uncalibrated is not None:
        lines.append(Line("uncalibrated", [(mean, right) for mean, right, _ in found.uncalibrated], marks=True))
    x = Axis("predicted probability", PERCENT, _PROBABILITY)
    y = Axis("share of correct predictions", PERCENT, _SHARE)
    return draw_lines(lines, x, y, title="Reliability diagram", diagonal=_PROBABILITY)


def _draw_coverage(found: Observations) -> Markup | None:
    if not found.coverage:
        return None
    x = Axis("texts that get a label", PERCENT, (0.0, 1.0))
    return draw_lines([Line("accuracy", found.coverage)], x, Axis("accuracy", PERCENT), title="Accuracy by coverage")


def _draw_lengths(found: Observations) -> Markup | None:
    if len(found.by_length) < 2:
        return None
    points = [((each.low + each.high) / 2, each.mean) for each in found.by_length]
    x = Axis("length of the text, pieces", "~s")
    return draw_lines([Line("accuracy", points, marks=True)], x, Axis("accuracy", PERCENT), title="Accuracy by length")


def _show_saved(found: Observations, engine: Engine) -> dict[str, Any] | None:
    """Return what the page says about the confidence thresholds of the model; None without any."""
    if found.abstention is None:
        return None
    thresholds = set(engine.confidence_thresholds.values())
    max_error = engine.model.confidence_max_error
    return {
        "one": f"{thresholds.pop():.6f}" if len(thresholds) == 1 else None,
        "goal": None if max_error is None else f"{100 * max_error:g} %",
        "covered": found.abstention.covered,
        "coverage": found.abstention.covered / max(1, found.evaluation.texts),
        "errors": found.abstention.errors,
        "error_rate": found.abstention.errors / max(1, found.abstention.covered),
    }


def _list_classes(found: Observations, confidence: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the rows of the table of classes: texts to show, and numbers to sort by.

    ``confidence`` are the confidence thresholds of a single-label model, if it has any.
    """
    classes = found.evaluation.classes
    if len(classes) > MAX_CLASSES:
        classes = sorted(classes, key=lambda each: -each.support)[:MAX_CLASSES]
    rows = []
    for each in classes:
        scores = {key: getattr(each, key) for key in ("precision", "recall", "f1")}
        row: dict[str, Any] = {key: (value, format_metric(key, value)) for key, value in scores.items()}
        row |= {"label": each.label, "short": abbreviate(each.label, 28), "support": each.support}
        row["threshold"] = each.threshold if isinstance(each, LabelScore) else confidence.get(each.label)
        rows.append(row)
    return rows
