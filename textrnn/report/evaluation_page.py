"""The evaluation page of a model: one HTML file without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from textrnn.config import Config, DataConfig
from textrnn.data.check import Report, check_files
from textrnn.data.reading.io import is_pipe
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
from textrnn.report.template import list_versions, read_command, render, show_config
from textrnn.serialization.inspection import read_metrics
from textrnn.serialization.latest_run import METRICS_NAME

MAX_CLASSES = 300
"""Of more classes the most frequent ones are in the table."""
MAX_CHECKED = 100_000
"""More texts are not checked: a million take 0.6 GB of memory."""
_MAX_FINDINGS = 3  # of a kind
_PROBABILITY, _SHARE = (0.0, 1.0), (0.0, 1.0)


@dataclass(frozen=True)
class Origin:
    """What the page says about its making.

    ``model`` and ``data`` are names for people, ``command`` made the page, ``run`` is the run folder if there is one.
    ``checked`` is the path of the file for ``data check`` and how to read it, or the reason why it is not checked.
    """

    model: str
    data: str
    command: str
    version: str
    run: Path | None = None
    checked: tuple[str, DataConfig] | str = ""


def make_page(
    engine: Engine,
    batches: Iterable[Batch],
    config: Config,
    *,
    origin: Origin,
    threshold: float | None = None,
    pieces: int = PIECES,
) -> tuple[str, Observations]:
    """Evaluate ``engine``, a model trained by ``config``, on ``batches``; return the page, and what was observed.

    ``pieces`` limits the cost of explaining texts.
    """
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
        "check": _check_data(origin.checked, engine, found.evaluation.texts),
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
        "length_rows": [[_range(b.low, b.high), f"{b.texts:,}", _percent(b.accuracy)] for b in found.by_length],
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


def _check_data(checked: tuple[str, DataConfig] | str, engine: Engine, texts: int) -> Report | str:
    """Return the result of ``data check``, with lengths in the pieces of the model, or why there is none."""
    if isinstance(checked, str):
        return checked
    path, config = checked
    if is_pipe(path):
        return "The texts came from a pipe, which cannot be read again for textrnn data check."
    if texts > MAX_CHECKED:
        return f"More than {MAX_CHECKED:,} texts are not checked here; textrnn data check does so."
    config = config.model_copy(update={key: getattr(engine.data_config, key) for key in ("max_length", "long_texts")})
    return check_files([(path, None)], config, max_shown=_MAX_FINDINGS, count_pieces=engine.tokenizer.count_pieces)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _draw_learning(run: Path | None, *, is_multi_label: bool) -> list[Markup]:
    """Return the learning curves of the run, from its metrics; an empty list without them."""
    path = None if run is None else run / METRICS_NAME
    if path is None or not path.is_file():
        return []
    rows = read_metrics(path)
    if len(rows) < 2:
        return []
    step = Axis("step", ",.0f")

    def trace(name: str, key: str) -> Line:
        return Line(name, [(row["step"], row.get(key)) for row in rows], marks=True)

    losses = [trace("training", "loss"), trace("validation", "valid_loss")]
    first, name = ("micro_f1", "micro F1") if is_multi_label else ("accuracy", "accuracy")
    metrics = [trace(name, first), trace("macro F1", "macro_f1")]
    charts = [draw_lines(losses, step, Axis("loss, nats a text"), title="Loss by step")]
    if any(row.get(first) is not None for row in rows):
        share = Axis("on the validation set", PERCENT)
        charts.append(draw_lines(metrics, step, share, title=f"{name} and macro F1 by step"))
    rate = Axis("learning rate", "~g")
    charts.append(draw_lines([trace("rate", "lr")], step, rate, title="Learning rate by step"))
    return charts


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
    return draw_lines(lines, x, y, title="Reliability diagram", diagonal=True)


def _draw_coverage(found: Observations) -> Markup | None:
    if not found.coverage:
        return None
    x = Axis("texts that get a label", PERCENT, (0.0, 1.0))
    return draw_lines([Line("accuracy", found.coverage)], x, Axis("accuracy", PERCENT), title="Accuracy by coverage")


def _draw_lengths(found: Observations) -> Markup | None:
    if len(found.by_length) < 2:
        return None
    points = [((each.low + each.high) / 2, each.accuracy) for each in found.by_length]
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
