"""Thresholds have the highest F1 and lie halfway between two probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from textrnn.evaluation.thresholds import tune_thresholds


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_has_a_higher_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = rng.random((40, 3)) < [0.05, 0.3, 0.9]
    true[0] = True
    probabilities = (rng.random((40, 3)) + true).round(1 + seed % 3).astype(np.float32) / 2  # some of them equal
    found = tune_thresholds(true, probabilities)
    assert found.shape == (3,)
    for label, threshold in enumerate(found):
        p, has = probabilities[:, label], true[:, label]
        best = max(f1_score(has, p >= other, zero_division=0) for other in [0.0, *p])
        assert f1_score(has, p >= threshold) == pytest.approx(best)
        assert not np.isin(threshold, p)


def test_a_threshold_is_halfway_between_probabilities() -> None:
    true = np.array([[True], [True], [False], [False]])
    assert tune_thresholds(true, np.array([[0.9], [0.75], [0.25], [0.1]], np.float32)).tolist() == [0.5]
    assert tune_thresholds(true[:2], np.array([[0.5], [0.25]], np.float32)).tolist() == [0.125]


def test_a_label_that_no_text_has_gets_one_half() -> None:
    assert tune_thresholds(np.zeros((3, 1), np.bool_), np.full((3, 1), 0.9, np.float32)).tolist() == [0.5]
