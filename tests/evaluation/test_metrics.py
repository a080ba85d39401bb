"""The metrics, and what counts as best."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report, f1_score

from textrnn.evaluation.metrics import rank_by, score, score_multi_label


def test_metrics_are_those_of_scikit_learn() -> None:
    true, predicted = np.array([0, 1, 2, 2, -1, 1]), np.array([0, 2, 2, 1, 0, 1])
    report = classification_report(true, predicted, output_dict=True, zero_division=0)
    assert score(true, predicted) == pytest.approx(
        {
            "accuracy": 3 / 6,
            "micro_f1": f1_score(true, predicted, average="micro"),
            "macro_f1": report["macro avg"]["f1-score"],
            "weighted_f1": report["weighted avg"]["f1-score"],
        }
    )


def test_metrics_of_sets_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    true, predicted = rng.random((50, 6)) < 0.3, rng.random((50, 5)) < 0.4
    true[:, 2] = predicted[:, 2] = False  # a label that does not occur counts nowhere
    wanted, found = (np.delete(matrix, 2, axis=1) for matrix in (true, np.pad(predicted, ((0, 0), (0, 1)))))
    assert score_multi_label(true, predicted) == pytest.approx(
        {"accuracy": accuracy_score(wanted, found)}
        | {
            f"{kind}_f1": f1_score(wanted, found, average=kind, zero_division=0)
            for kind in ("micro", "macro", "weighted")
        }
    )


def test_one_label_and_none_are_sets_too() -> None:
    true, predicted = np.array([[True], [True], [False], [False]]), np.array([[True], [False], [True], [False]])
    wanted = {"accuracy": 0.5, "micro_f1": 0.5, "macro_f1": 0.5, "weighted_f1": 0.5}
    assert score_multi_label(true, predicted) == pytest.approx(wanted)
    nothing = np.zeros((3, 2), np.bool_)
    assert score_multi_label(nothing, nothing) == {
        "accuracy": 1.0,
        "micro_f1": 0.0,
        "macro_f1": 0.0,
        "weighted_f1": 0.0,
    }


def test_the_lower_loss_and_the_higher_metric_rank_first() -> None:
    scores = {"accuracy": 0.5, "macro_f1": 0.4, "weighted_f1": 0.3}
    assert rank_by("loss", scores, 0.1) > rank_by("loss", scores, 0.2)
    assert rank_by("macro_f1", scores, 0.1) == 0.4
