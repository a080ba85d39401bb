"""Bootstrap intervals: as wide as those of resampled rows, the same in each run."""

from __future__ import annotations

import numpy as np
import pytest

from textrnn.evaluation.predictions import Predictions, Scores
from textrnn.evaluation.single_label import evaluate_predictions
from textrnn.report.intervals import PoissonBootstrap, bound, compute_intervals


def draw(B: int, C: int = 4) -> Predictions:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.3, 1, B).astype(np.float32)
    true = rng.integers(0, C, B).astype(np.int32)
    predicted = np.where(rng.random(B) < confidence, true, (true + 1) % C).astype(np.int32)
    scores = Scores(confidence, np.where(rng.random(B) < 0.1, np.nan, rng.exponential(1, B)).astype(np.float32))
    return Predictions(tuple("abcd"[:C]), C, true, predicted, confidence, scores, scores, 1.0)


def select(found: Predictions, rows: np.ndarray) -> Predictions:
    scores = Scores(found.calibrated.confidence[rows], found.calibrated.loss[rows])
    columns = (found.true[rows], found.predicted[rows], found.margin[rows])
    return Predictions(found.labels, found.known, *columns, scores, scores, 1.0)


@pytest.mark.parametrize("B", [200, 4000])
def test_intervals_are_those_of_resampled_rows(B: int) -> None:
    found, rng = draw(B), np.random.default_rng(2)
    whole = evaluate_predictions(found)
    intervals = compute_intervals(found, whole)
    assert intervals == compute_intervals(found, whole)
    drawn = [evaluate_predictions(select(found, rng.integers(0, B, B))) for _ in range(200)]
    for key in ("accuracy", "macro_f1", "loss", "calibration_error"):
        low, high = intervals[key]
        own_low, own_high = bound(np.array([getattr(each, key) for each in drawn]))
        assert low <= getattr(whole, key) <= high
        assert high - low == pytest.approx(own_high - own_low, rel=0.25)
        if key != "calibration_error":  # whose bias is removed
            assert low == pytest.approx(own_low, abs=0.25 * (high - low))


def test_no_text_has_no_interval() -> None:
    assert compute_intervals(draw(0), evaluate_predictions(draw(0))) == {}


def test_multi_label_intervals_shrink_with_the_number_of_texts() -> None:
    def measure(B: int) -> dict[str, tuple[float, float]]:
        rng, bootstrap = np.random.default_rng(3), PoissonBootstrap(3)
        for _ in range(B // 100):
            true = rng.random((100, 3)) < 0.4
            predicted = true ^ (rng.random((100, 3)) < 0.2)
            bootstrap.add(
                true,
                predicted,
                unknown=np.zeros(100, np.int64),
                loss=rng.exponential(1, 100),
                probabilities=np.where(predicted, 0.8, 0.2).astype(np.float32),
            )
        return bootstrap.compute(labels=3, unknown_labels=0)

    small, large = measure(400), measure(6400)
    for key, truth in {"accuracy": 0.8**3, "loss": 1.0, "calibration_error": 0.064, "micro_f1": 0.762}.items():
        assert small[key][1] - small[key][0] > 2 * (large[key][1] - large[key][0])
        assert large[key][0] - 0.02 <= truth <= large[key][1] + 0.02
