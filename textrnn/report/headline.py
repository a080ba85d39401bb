"""The headline figures of the page, with units and intervals."""

from __future__ import annotations

from dataclasses import dataclass

from textrnn.evaluation.multi_label import MultiLabelEvaluation
from textrnn.report.intervals import Interval
from textrnn.report.observations import Observations


@dataclass(frozen=True)
class Figure:
    """A figure: its ``key`` in ``evaluate --json``, name, value, 95 % interval (None: no interval), and what it is."""

    key: str
    name: str
    value: str
    interval: str | None
    note: str


def list_figures(observations: Observations) -> list[Figure]:
    """Return the headline figures of a single-label or multi-label model."""
    found, intervals = observations.evaluation, observations.intervals
    is_multi_label = isinstance(found, MultiLabelEvaluation)
    right = "texts with exactly the right labels" if is_multi_label else "texts with the right label"
    error = "mean gap of probability and share of correct predictions (ECE)"
    rows = [
        ("accuracy", "accuracy", f"{found.correct:,} of {found.texts:,} {right}"),
        ("macro_f1", "macro F1", "mean F1 of the labels"),
        ("loss", "loss", f"cross entropy, nats a text{_describe(found.loss_uncalibrated, '{:.4f}')}"),
        (
            "calibration_error",
            "calibration error",
            error + _describe(100 * found.calibration_error_uncalibrated, "{:.2f} points"),
        ),
    ]
    if is_multi_label:
        rows.insert(0, ("micro_f1", "micro F1", "F1 over all pairs of text and label"))
    return [
        Figure(key, name, format_metric(key, getattr(found, key)), _format_interval(key, intervals.get(key)), note)
        for key, name, note in rows
    ]


def format_metric(key: str, value: float | None) -> str:
    """Return the value of a metric with its unit, as ``textrnn evaluate`` prints it."""
    if value is None:
        return "-"
    if key in ("loss", "mae", "rmse", "pearson"):
        return f"{value:.4f}"
    return f"{100 * value:.2f} points" if key == "calibration_error" else f"{100 * value:.2f} %"


def _format_interval(key: str, interval: Interval | None) -> str | None:
    if interval is None:
        return None
    low, high = interval
    return f"{low:.4f} to {high:.4f}" if key == "loss" else f"{100 * low:.2f} to {100 * high:.2f}"


def _describe(value: float | None, form: str) -> str:
    return "" if value is None else f"; {form.format(value)} uncalibrated"
