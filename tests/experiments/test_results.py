"""Means and deviations over runs, and the best run."""

from __future__ import annotations

import statistics
from dataclasses import asdict

import pytest

from samples import make_record
from textrnn.experiments.results import Result, format_score, select_metrics, summarize


def result(accuracy: float, loss: float, test: float | None = None) -> Result:
    return Result(3, {"accuracy": accuracy, "loss": loss}, None if test is None else {"accuracy": test})


def test_mean_deviation_and_best() -> None:
    runs = {"fold-1": result(0.5, 0.9, 0.1), "fold-2": result(0.8, 0.7, 0.3), "fold-3": result(0.8, 0.2, 0.5)}
    summary = summarize("fold", "accuracy", runs)
    assert summary.best == "fold-2"  # the first of two equal runs
    assert summary.valid["accuracy"].mean == pytest.approx(0.7)
    assert summary.valid["accuracy"].deviation == pytest.approx(statistics.stdev([0.5, 0.8, 0.8]))
    assert summary.test is not None
    assert summary.test["accuracy"].mean == pytest.approx(0.3)
    assert summarize("fold", "loss", runs).best == "fold-3"
    assert asdict(summary)["runs"]["fold-1"] == {
        "epoch": 3,
        "valid": {"accuracy": 0.5, "loss": 0.9},
        "test": {"accuracy": 0.1},
    }


def test_a_single_run_has_deviation_0() -> None:
    summary = summarize("seed", "accuracy", {"seed-1": result(0.5, 1.0)})
    assert (summary.valid["loss"].mean, summary.valid["loss"].deviation, summary.test) == (1.0, 0.0, None)


def test_metrics_are_those_of_the_validation_set() -> None:
    metrics = {"accuracy": 0.5, "micro_f1": 0.45, "macro_f1": 0.4, "weighted_f1": 0.3}
    assert select_metrics(make_record(loss=5.0, valid_loss=0.25, **metrics)) == {**metrics, "loss": 0.25}


def test_scores_are_formatted_for_display() -> None:
    assert format_score("macro_f1", 0.87894) == "macro F1 87.89 %"
    assert format_score("accuracy", 0.5, 0.0123) == "accuracy 50.00 ± 1.23 %"
    assert format_score("loss", 0.5, 0.0123) == "loss 0.5000 ± 0.0123"
