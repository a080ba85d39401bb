"""Metrics equal those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report, f1_score

from textrnn.evaluation.metrics import multi_label_metrics, rank_by, single_label_metrics


def test_single_label_metrics_equal_scikit_learn() -> None:
    true, predicted = np.array([0, 1, 2, 2, -1, 1]), np.array([0, 2, 2, 1, 0, 1])
    report = classification_report(true, predicted, output_dict=True, zero_division=0)
    assert single_label_metrics(true, predicted) == pytest.approx(
        {
            "accuracy": 3 / 6,
            "micro_f1": f1_score(true, predicted, average="micro"),
            "macro_f1": report["macro avg"]["f1-score"],
            "weighted_f1": report["weighted avg"]["f1-score"],
        }
    )


def test_multi_label_metrics_equal_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    true, predicted = rng.random((50, 6)) < 0.3, rng.random((50, 5)) < 0.4
    true[:, 2] = predicted[:, 2] = False  # a label that does not occur is in no average
    expected, found = (np.delete(matrix, 2, axis=1) for matrix in (true, np.pad(predicted, ((0, 0), (0, 1)))))
    assert multi_label_metrics(true, predicted) == pytest.approx(
        {"accuracy": accuracy_score(expected, found)}
        | {
            f"{kind}_f1": f1_score(expected, found, average=kind, zero_division=0)
            for kind in ("micro", "macro", "weighted")
        }
    )


def test_a_single_label_and_empty_sets_have_metrics() -> None:
    true, predicted = np.array([[True], [True], [False], [False]]), np.array([[True], [False], [True], [False]])
    expected = {"accuracy": 0.5, "micro_f1": 0.5, "macro_f1": 0.5, "weighted_f1": 0.5}
    assert multi_label_metrics(true, predicted) == pytest.approx(expected)
    nothing = np.zeros((3, 2), np.bool_)
    zeros = {"micro_f1": 0.0, "macro_f1": 0.0, "weighted_f1": 0.0}
    assert multi_label_metrics(nothing, nothing) == {"accuracy": 1.0, **zeros}


def test_the_lower_loss_and_the_higher_metric_rank_first() -> None:
    scores = {"accuracy": 0.5, "macro_f1": 0.4, "weighted_f1": 0.3}
    assert rank_by("loss", scores, 0.1) > rank_by("loss", scores, 0.2)
    assert rank_by("macro_f1", scores, 0.1) == 0.4
