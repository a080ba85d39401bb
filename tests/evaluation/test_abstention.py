"""Thresholds of confidence keep the error that they guarantee."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import beta

from textrnn.evaluation.abstention import (
    STARTS,
    Guarantee,
    count_needed,
    fit_guarantee,
    fit_guarantees,
    list_thresholds,
)
from textrnn.evaluation.predictions import Predictions, Scores

LEVEL = 0.05 / len(STARTS)


def make(confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]) -> Predictions:
    """Return predictions of label 0 or 1, alternating, that are right where ``correct`` says."""
    predicted = np.arange(len(confidence), dtype=np.int32) % 2
    scores = Scores(confidence.astype(np.float32), np.zeros(len(confidence), np.float32))
    true = np.where(correct, predicted, 1 - predicted).astype(np.int32)
    return Predictions(("a", "b"), 2, true, predicted, scores.confidence, scores, scores, 1.0)


def draw(seed: int, n: int) -> Predictions:
    """Return calibrated predictions: a confidence p is right with probability p."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.5, 1, n)
    return make(p, rng.random(n) < p)


@pytest.mark.parametrize("max_error", [0.05, 0.1, 0.2])
def test_the_guaranteed_error_holds_on_new_texts(max_error: float) -> None:
    kept, coverage = 0, []
    for seed in range(100):
        guarantee = fit_guarantee(draw(seed, 1000), max_error)
        if guarantee.threshold is None:
            kept += 1
            continue
        coverage.append(guarantee.coverage)
        kept += 1 - (1 + guarantee.threshold) / 2 <= max_error  # the accuracy above it is the mean confidence
    assert kept >= 95
    assert np.mean(coverage) > 0.7 * 2 * max_error  # of the coverage 2 * max_error that a perfect threshold has


def test_the_bound_is_that_of_clopper_and_pearson() -> None:
    guarantee = fit_guarantee(draw(1, 2000), 0.1)
    assert guarantee.threshold is not None
    assert beta.ppf(1 - LEVEL, guarantee.errors + 1, guarantee.covered - guarantee.errors) <= 0.1


def test_counts_are_those_of_the_texts_above_the_threshold() -> None:
    predictions = draw(2, 1500)
    guarantee = fit_guarantee(predictions, 0.2)
    assert guarantee.threshold is not None
    above = predictions.calibrated.confidence >= guarantee.threshold
    assert (guarantee.covered, guarantee.errors) == (above.sum(), (~predictions.correct[above]).sum())
    assert guarantee.coverage == above.mean()


def test_texts_that_share_the_printed_threshold_count() -> None:
    rng = np.random.default_rng(3)
    confidence = 1 - 10 ** -rng.uniform(4, 7, 2000)  # of a model that is always sure
    predictions = make(confidence, confidence > 1 - 3e-7)
    assert fit_guarantee(predictions, 0.02).threshold is None  # in six digits, right and wrong ones are the same


@pytest.mark.parametrize("max_error", [0.01, 0.05, 0.3])
def test_a_guarantee_needs_texts(max_error: float) -> None:
    needed = count_needed(max_error)
    right = make(np.full(needed, 0.9), np.ones(needed, np.bool_))
    assert fit_guarantee(right, max_error).covered == needed
    fewer = make(np.full(needed - 1, 0.9), np.ones(needed - 1, np.bool_))
    assert fit_guarantee(fewer, max_error) == Guarantee(None, needed - 1, max_error)
    assert fit_guarantee(make(np.zeros(0), np.zeros(0, np.bool_)), max_error).threshold is None


def test_each_label_has_a_threshold_of_its_own() -> None:
    confidence = np.tile([0.9, 0.6], 400)
    correct = np.where(np.arange(800) % 2 == 0, True, np.arange(800) % 3 == 0)  # label b is right in a third
    first, second = fit_guarantees(make(confidence, correct), 0.05)
    assert (first.label, first.covered, first.errors, second.label, second.threshold) == ("a", 400, 0, "b", None)
    assert list_thresholds([first, second], ["a", "b"]) == (first.threshold, math.inf)
    assert list_thresholds([fit_guarantee(make(confidence, correct), 0.5)], ["a", "b"]) == (pytest.approx(0.6),) * 2
