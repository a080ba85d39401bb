"""Intervals, quantiles and histograms of scores."""

from __future__ import annotations

import numpy as np
import pytest

from textrnn.report.scores.score_observations import compute_score_intervals, count_errors, trace_quantiles


def test_intervals_are_those_of_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(100, 2, 4000)
    predicted = 0.7 * true + 30 + rng.normal(0, 1, 4000)
    found = compute_score_intervals(predicted, true)
    draws = rng.integers(0, 4000, (500, 4000))
    errors = np.abs(predicted - true)[draws]
    plain = {
        "mae": errors.mean(axis=1),
        "rmse": np.sqrt(np.square(errors).mean(axis=1)),
        "pearson": np.array([np.corrcoef(predicted[rows], true[rows])[0, 1] for rows in draws]),
    }
    for key, values in plain.items():
        low, high = np.quantile(values, [0.025, 0.975])
        assert found[key] == pytest.approx((low, high), abs=0.2 * (high - low)), key


def test_a_constant_has_no_correlation() -> None:
    assert {*compute_score_intervals(np.full(5, 2.0), np.arange(5.0))} == {"mae", "rmse"}
    assert compute_score_intervals(np.ones(1), np.zeros(1)) == {"mae": (1.0, 1.0), "rmse": (1.0, 1.0)}


@pytest.mark.parametrize(("true", "columns"), [(np.arange(300) % 4, 4), (np.arange(300) / 7, 20)])
def test_quantiles_are_by_true_score(true: np.ndarray[tuple[int], np.dtype[np.float64]], columns: int) -> None:
    predicted = true + np.linspace(-1, 1, 300)
    found = trace_quantiles(predicted, true.astype(np.float64))
    assert len(found) == columns
    assert sum(column.texts for column in found) == 300
    assert all(low <= middle <= high for low, middle, high in (column.quantiles for column in found))


def test_a_histogram_holds_all_errors() -> None:
    bars = count_errors(np.append(np.random.default_rng(0).normal(0, 1, 5000), [100.0, -100.0]))
    assert sum(share for _, _, share in bars) == pytest.approx(1)
    assert all(left[1] == right[0] for left, right in zip(bars, bars[1:], strict=False))
    assert bars[-1][1] < 10
    assert count_errors(np.zeros(3)) == [(0.0, 0.0, 1.0)]
