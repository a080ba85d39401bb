"""The metrics of scores equal those of scikit-learn and scipy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from textrnn.data.reading.examples import Example
from textrnn.evaluation.regression import calibrate_scores, evaluate_scores, list_score_errors


def test_metrics_are_those_of_other_libraries() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(0, 11, 500).astype(np.float64)
    predicted = np.round(0.6 * true + 2 + rng.normal(0, 1.5, 500), 1)
    found = evaluate_scores(predicted, true)
    assert found.texts == 500
    assert found.mae == pytest.approx(mean_absolute_error(true, predicted))
    assert found.rmse == pytest.approx(root_mean_squared_error(true, predicted))
    assert found.bias == pytest.approx((predicted - true).mean())
    assert found.r2 == pytest.approx(r2_score(true, predicted))
    assert (found.pearson, found.spearman) == pytest.approx(
        (pearsonr(predicted, true)[0], spearmanr(predicted, true)[0])
    )
    assert json.loads(json.dumps(found.to_dict()))["calibration"][0]["texts"] == found.calibration[0].texts


def test_bins_hold_all_texts_in_order() -> None:
    rng = np.random.default_rng(2)
    predicted, true = rng.integers(0, 20, 300) / 2, rng.normal(0, 1, 300)
    bins = calibrate_scores(predicted, true)
    assert sum(each.texts for each in bins) == 300
    assert sum(each.texts * each.true for each in bins) == pytest.approx(true.sum())
    assert all(left.high < right.low for left, right in zip(bins, bins[1:], strict=False))
    assert all(each.low <= each.predicted <= each.high for each in bins)


@pytest.mark.parametrize(
    ("predicted", "true", "undefined"),
    [
        ([1.0, 2.0], [3.0, 3.0], ["pearson", "spearman", "r2"]),
        ([2.0, 2.0], [1.0, 3.0], ["pearson", "spearman"]),
        ([2.0], [1.0], ["pearson", "spearman", "r2"]),
    ],
)
def test_what_is_not_defined_is_none(predicted: list[float], true: list[float], undefined: list[str]) -> None:
    found = evaluate_scores(np.array(predicted), np.array(true)).to_dict()
    assert [name for name, value in found.items() if value is None] == undefined


def test_errors_are_sorted_by_size() -> None:
    examples = [Example("5", "a", 1), Example("-2.5", "b", 2), Example("9", "c", 7)]
    found = list_score_errors(examples, np.array([5.5, -2.5, 3.0]))
    assert [(e.line_number, e.score, e.predicted_score, e.error) for e in found] == [
        (7, 9.0, 3.0, -6.0),
        (1, 5.0, 5.5, 0.5),
        (2, -2.5, -2.5, 0.0),
    ]
