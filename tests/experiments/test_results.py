"""Means, deviations, and which run is best."""

from __future__ import annotations

import statistics

import pytest

from textrnn.experiments.results import Result, format_score, summarize, take_metrics
from textrnn.reporter import EpochRecord


def result(accuracy: float, loss: float, test: float | None = None) -> Result:
    return Result(3, {"accuracy": accuracy, "loss": loss}, None if test is None else {"accuracy": test})


def test_mean_deviation_and_best() -> None:
    runs = {"fold-1": result(0.5, 0.9, 0.1), "fold-2": result(0.8, 0.7, 0.3), "fold-3": result(0.8, 0.2, 0.5)}
    found = summarize("fold", "accuracy", runs)
    assert found.best == "fold-2"  # the first of equals
    assert found.valid["accuracy"].mean == pytest.approx(0.7)
    assert found.valid["accuracy"].deviation == pytest.approx(statistics.stdev([0.5, 0.8, 0.8]))
    assert found.test is not None
    assert found.test["accuracy"].mean == pytest.approx(0.3)
    assert summarize("fold", "loss", runs).best == "fold-3"
    assert found.to_dict()["runs"]["fold-1"] == {
        "epoch": 3,
        "valid": {"accuracy": 0.5, "loss": 0.9},
        "test": {"accuracy": 0.1},
    }


def test_a_single_run_deviates_by_nothing() -> None:
    found = summarize("seed", "accuracy", {"seed-1": result(0.5, 1.0)})
    assert (found.valid["loss"].mean, found.valid["loss"].deviation, found.test) == (1.0, 0.0, None)


def test_metrics_are_those_on_valid() -> None:
    rest = {"epoch": 1, "step": 9, "loss": 5.0, "lr": 0.1, "seconds": 1.0, "tokens_per_second": 1.0, "best": True}
    record = EpochRecord(
        valid_loss=0.25, network_loss=0.5, accuracy=0.5, micro_f1=0.45, macro_f1=0.4, weighted_f1=0.3, **rest
    )  # type: ignore[arg-type]
    assert take_metrics(record) == {
        "accuracy": 0.5,
        "micro_f1": 0.45,
        "macro_f1": 0.4,
        "weighted_f1": 0.3,
        "loss": 0.25,
    }


def test_scores_as_people_read_them() -> None:
    assert format_score("macro_f1", 0.87894) == "macro F1 87.89 %"
    assert format_score("accuracy", 0.5, 0.0123) == "accuracy 50.00 ± 1.23 %"
    assert format_score("loss", 0.5, 0.0123) == "loss 0.5000 ± 0.0123"
