"""The metrics, and what counts as best."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import classification_report

from textrnn.training.metrics import rank_by, score


def test_metrics_are_those_of_scikit_learn() -> None:
    true, predicted = np.array([0, 1, 2, 2, -1, 1]), np.array([0, 2, 2, 1, 0, 1])
    report = classification_report(true, predicted, output_dict=True, zero_division=0)
    assert score(true, predicted) == pytest.approx(
        {
            "accuracy": 3 / 6,
            "macro_f1": report["macro avg"]["f1-score"],
            "weighted_f1": report["weighted avg"]["f1-score"],
        }
    )


def test_the_lower_loss_and_the_higher_metric_rank_first() -> None:
    scores = {"accuracy": 0.5, "macro_f1": 0.4, "weighted_f1": 0.3}
    assert rank_by("loss", scores, 0.1) > rank_by("loss", scores, 0.2)
    assert rank_by("macro_f1", scores, 0.1) == 0.4
