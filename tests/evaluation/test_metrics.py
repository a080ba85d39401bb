"""Metrics equal those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report, f1_score

from textrnn.evaluation.metrics import LabelCounts, rank_by


def test_single_label_metrics_equal_scikit_learn() -> None:
    true, predicted = np.array([0, 1, 2, 2, 5, 1]), np.array([0, 2, 2, 1, 0, 1])
    report = classification_report(true, predicted, output_dict=True, zero_division=0)
    counts = LabelCounts.of_classes(true, predicted, 6)  # the classes 3 and 4 do not occur
    assert counts.summarize() == pytest.approx(
        {
            "accuracy": 3 / 6,
            "micro_f1": f1_score(true, predicted, average="micro"),
            "macro_f1": report["macro avg"]["f1-score"],
            "weighted_f1": report["weighted avg"]["f1-score"],
        }
    )
    for label in (0, 1, 2, 5):
        found = (counts.precision[label], counts.recall[label], counts.f1[label], counts.true[label])
        expected = [report[str(label)][name] for name in ("precision", "recall", "f1-score", "support")]
        assert found == pytest.approx(expected)


def test_multi_label_metrics_equal_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    true, predicted = rng.random((50, 6)) < 0.3, rng.random((50, 5)) < 0.4
    true[:, 2] = predicted[:, 2] = False  # a label that does not occur is in no average
    expected, found = (np.delete(matrix, 2, axis=1) for matrix in (true, np.pad(predicted, ((0, 0), (0, 1)))))
    counts = LabelCounts.of_sets(true, predicted)
    assert counts.summarize() == pytest.approx(
        {"accuracy": accuracy_score(expected, found)}
        | {
            f"{kind}_f1": f1_score(expected, found, average=kind, zero_division=0)
            for kind in ("micro", "macro", "weighted")
        }
    )
    parts = LabelCounts.of_sets(true[:20], predicted[:20]) + LabelCounts.of_sets(true[20:], predicted[20:])
    assert parts.summarize() == counts.summarize()


def test_a_single_label_and_empty_sets_have_metrics() -> None:
    true, predicted = np.array([[True], [True], [False], [False]]), np.array([[True], [False], [True], [False]])
    expected = {"accuracy": 0.5, "micro_f1": 0.5, "macro_f1": 0.5, "weighted_f1": 0.5}
    assert LabelCounts.of_sets(true, predicted).summarize() == pytest.approx(expected)
    nothing = np.zeros((3, 2), np.bool_)
    zeros = {"micro_f1": 0.0, "macro_f1": 0.0, "weighted_f1": 0.0}
    assert LabelCounts.of_sets(nothing, nothing).summarize() == {"accuracy": 1.0, **zeros}


def test_the_lower_loss_and_the_higher_metric_rank_first() -> None:
    scores = {"accuracy": 0.5, "macro_f1": 0.4, "weighted_f1": 0.3}
    assert rank_by("loss", scores, 0.1) > rank_by("loss", scores, 0.2)
    assert rank_by("macro_f1", scores, 0.1) == 0.4
