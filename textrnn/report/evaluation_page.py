"""The evaluation page of a model: one HTML file without anything from elsewhere."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from textrnn.config import Config, DataConfig, dump_yaml
from textrnn.data.check import Report, check_files
from textrnn.data.reading.io import is_pipe
from textrnn.evaluation.multi_label import LabelScore, MultiLabelEvaluation
from textrnn.inference.engine import Engine
from textrnn.report.charts import PERCENT, Axis, Line, draw_lines
from textrnn.report.confusion import LEVELS, HeatMap, draw_heat_map
from textrnn.report.explained import PIECES, Explainer
from textrnn.report.headline import format_metric, list_figures
from textrnn.report.markup import abbreviate
from textrnn.report.model_card import write_model_card
from textrnn.report.observations import Batch, Observations, observe
from textrnn.report.template import render
from textrnn.serialization.inspection import read_metrics
from textrnn.serialization.latest_run import COMMAND_NAME, METRICS_NAME

MAX_CLASSES = 300
"""Of more classes the most frequent ones are in the table."""
MAX_CHECKED = 100_000
"""More texts are not checked: a million take 0.6 GB of memory."""
_MAX_FINDINGS = 3  # of a kind
_MAX_CONFIG, _MAX_COMMAND = 20_000, 2_000  # characters
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
    card = write_model_card(
        origin.model, config, found.evaluation, figures=figures, data=origin.data, version=origin.version
    )
    view: dict[str, Any] = {
        "origin": origin,
        "check": _check_data(origin.checked, engine, found.evaluation.texts),
        "evaluation": found.evaluation,
        "multi_label": isinstance(found.evaluation, MultiLabelEvaluation),
        "figures": figures,
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
        "classes": _list_classes(found),
        "hidden_classes": max(0, len(found.evaluation.classes) - MAX_CLASSES),
        "label_errors": found.label_errors,
        "mistakes": explainer.show(found.mistakes),
        "doubts": explainer.show(found.doubts),
        "config": dump_yaml(config)[:_MAX_CONFIG],
        "trained_by": _read_command(origin.run),
        "versions": {"textrnn": origin.version, "Python": platform.python_version(), "numpy": np.__version__},
        "card": card,
    }
    return render(view), found


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
        return Line(name, [(row["step"], row.get(key)) for row in rows])

    losses = [trace("training", "loss"), trace("validation", "valid_loss")]
    first, name = ("micro_f1", "micro F1") if is_multi_label else ("accuracy", "accuracy")
    metrics = [trace(name, first), trace("macro F1", "macro_f1")]
    charts = [draw_lines(losses, step, Axis("loss, nats a text"), title="Loss by step", marks=True)]
    if any(row.get(first) is not None for row in rows):
        share = Axis("on the validation set", PERCENT)
        charts.append(draw_lines(metrics, step, share, title=f"{name} and macro F1 by step", marks=True))
    rate = Axis("learning rate", "~g")
    charts.append(draw_lines([trace("rate", "lr")], step, rate, title="Learning rate by step", marks=True))
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
    lines = [Line("calibrated", [(mean, right) for mean, right, _ in found.reliability])]
    if found.uncalibrated is not None:
        lines.append(Line("uncalibrated", [(mean, right) for mean, right, _ in found.uncalibrated]))
    x = Axis("predicted probability", PERCENT, _PROBABILITY)
    y = Axis("share of correct predictions", PERCENT, _SHARE)
    return draw_lines(lines, x, y, title="Reliability diagram", marks=True, diagonal=True)


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
    return draw_lines([Line("accuracy", points)], x, Axis("accuracy", PERCENT), title="Accuracy by length", marks=True)


def _list_classes(found: Observations) -> list[dict[str, Any]]:
    """Return the rows of the table of classes: texts to show, and numbers to sort by."""
    classes = found.evaluation.classes
    if len(classes) > MAX_CLASSES:
        classes = sorted(classes, key=lambda each: -each.support)[:MAX_CLASSES]
    rows = []
    for each in classes:
        scores = {key: getattr(each, key) for key in ("precision", "recall", "f1")}
        row: dict[str, Any] = {key: (value, format_metric(key, value)) for key, value in scores.items()}
        row |= {"label": each.label, "short": abbreviate(each.label, 28), "support": each.support}
        if isinstance(each, LabelScore):
            row["threshold"] = each.threshold
        rows.append(row)
    return rows


def _read_command(run: Path | None) -> str:
    """Return the command line that trained the model, or an empty text."""
    path = None if run is None else run / COMMAND_NAME
    if path is None or not path.is_file():
        return ""
    return path.read_text(encoding="utf-8", errors="replace").strip()[:_MAX_COMMAND]
