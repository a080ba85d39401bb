"""The learning curve of an experiment: a section of evaluation pages, and a page of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from textrnn.config import Config, check_config
from textrnn.errors import ModelError
from textrnn.evaluation.learning_curve import Curve
from textrnn.report.charts import PERCENT, Axis, Line, draw_lines
from textrnn.report.template import list_versions, render, show_config
from textrnn.serialization.latest_run import EXPERIMENT_NAME, SUMMARY_NAME, is_experiment

_LAW_POINTS = 30


@dataclass(frozen=True)
class CurveRecord:
    """A finished experiment in ``folder`` with a learning curve, and the name of its ``best`` run.

    ``config`` is that of all runs; there are ``seeds`` runs for each size of the training set.
    """

    folder: Path
    curve: Curve
    seeds: int
    best: str
    config: Config
    command: str


def read_curve(folder: Path) -> CurveRecord | None:
    """Return the experiment in ``folder``; None if there is none, or it has no learning curve.

    Raises:
        ModelError: its files are damaged.
    """
    path = folder / SUMMARY_NAME
    if not is_experiment(folder) or not path.is_file():
        return None
    try:
        summary, state = (
            json.loads((folder / name).read_text(encoding="utf-8")) for name in (SUMMARY_NAME, EXPERIMENT_NAME)
        )
        if summary.get("curve") is None:
            return None
        curve, config = Curve.from_dict(summary["curve"]), check_config(state["config"])
        return CurveRecord(folder, curve, len(summary["runs"]), summary["best"], config, state["command"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(path, f"not the summary of an experiment, or damaged ({error}); run it again") from None


def make_curve_page(record: CurveRecord, *, version: str) -> str:
    """Return a page with the learning curve of ``record``."""
    view = {
        "record": record,
        "curve": _show(record),
        "trained_by": record.command,
        "version": version,
        "versions": list_versions(version),
        "config": show_config(record.config),
    }
    return render("curve_page.html", view)


def show_curve(folder: Path) -> dict[str, Any] | None:
    """Return what the section shows of the experiment in ``folder``, or None if that has no learning curve."""
    record = read_curve(folder)
    return None if record is None else _show(record)


def _show(record: CurveRecord) -> dict[str, Any]:
    curve = record.curve
    rows = [(f"{point.texts:,}", _percent(point.mean), f"{100 * point.deviation:.2f}") for point in curve.points]
    return {
        "chart": _draw(curve),
        "rows": rows,
        "seeds": record.seeds,
        "last": _percent(curve.points[-1].mean),
        "doubled": _percent(curve.doubled_accuracy),
        "doubled_texts": curve.doubled_texts,
        "gain": f"{100 * curve.gain:+.2f}",
        "noise": f"{100 * curve.noise:.2f}",
        "is_flat": curve.is_flat,
        "is_gain_noise": curve.is_gain_noise,
        "law": curve.law,
    }


def _draw(curve: Curve) -> Markup:
    points = curve.points
    sizes = [point.texts for point in points]
    texts = np.geomspace(sizes[0], curve.doubled_texts, _LAW_POINTS).tolist()
    lines = [
        Line("measured", [(point.texts, point.mean) for point in points], marks=True),
        Line("fitted", [(n, 1 - curve.law.predict_error(n)) for n in texts]),
        Line("estimated", [(curve.doubled_texts, curve.doubled_accuracy)], marks=True),
    ]
    spans = [(p.texts, max(0.0, p.mean - p.deviation), min(1.0, p.mean + p.deviation)) for p in points]
    ticks = [*sizes, curve.doubled_texts]
    x = Axis("training texts", "," if ticks[-1] < 100_000 else "~s", ticks=ticks)
    title = "Accuracy by the number of training texts"
    return draw_lines(lines, x, Axis("accuracy", PERCENT), title=title, spans=spans)


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"
