"""Points of the figures, compared with direct computation."""

from __future__ import annotations

import numpy as np
import pytest

from textrnn.report.curves import LabelHistogram, Reliability, measure_by_length, trace_coverage, trace_thresholds

RNG = np.random.default_rng(0)
CONFIDENCE = RNG.random(500).astype(np.float32)
CORRECT = RNG.random(500) < CONFIDENCE


def test_thresholds_keep_texts_of_at_least_that_confidence() -> None:
    for threshold, precision, recall in trace_thresholds(CONFIDENCE, CORRECT):
        kept = threshold <= CONFIDENCE
        assert recall == pytest.approx((kept & CORRECT).sum() / 500)
        assert precision == (pytest.approx(CORRECT[kept].mean()) if kept.any() else None)
    assert trace_thresholds(np.float32([0.5]), np.array([True]))[-1] == (0.98, None, 0.0)


def test_coverage_takes_the_most_confident_texts() -> None:
    points = trace_coverage(CONFIDENCE, CORRECT)
    assert points[-1] == (1.0, pytest.approx(CORRECT.mean()))
    best = np.argsort(-CONFIDENCE)[:50]
    assert dict(points)[0.1] == pytest.approx(CORRECT[best].mean())
    assert trace_coverage(CONFIDENCE[:0], CORRECT[:0]) == []


def test_reliability_adds_up_over_parts() -> None:
    parts, whole = Reliability(), Reliability()
    parts.add(CONFIDENCE[:200], CORRECT[:200])
    parts.add(CONFIDENCE[200:], CORRECT[200:])
    whole.add(CONFIDENCE, CORRECT)
    np.testing.assert_allclose(parts.points, whole.points)
    first = (CONFIDENCE <= 1 / 15).nonzero()
    assert whole.points[0] == (pytest.approx(CONFIDENCE[first].mean()), CORRECT[first].mean(), len(first[0]))


def test_label_thresholds_count_all_pairs() -> None:
    histogram = LabelHistogram()
    histogram.add(CONFIDENCE, CORRECT, missed=10)
    for threshold, precision, recall in histogram.trace_thresholds():
        kept = np.floor(CONFIDENCE * np.float32(1000)) >= round(threshold * 1000)
        assert recall == pytest.approx((kept & CORRECT).sum() / (CORRECT.sum() + 10))
        assert precision == (pytest.approx(CORRECT[kept].mean()) if kept.any() else None)


def test_lengths_are_in_bins_of_similar_size() -> None:
    lengths = np.arange(1, 501, dtype=np.int32)
    bins = measure_by_length(lengths, CORRECT)
    assert [each.texts for each in bins] == pytest.approx([62.5] * 8, abs=2)
    assert (bins[0].low, bins[-1].high) == (1, 500)
    assert sum(each.mean * each.texts for each in bins) == pytest.approx(CORRECT.sum())
    assert len(measure_by_length(np.full(5, 3, np.int32), CORRECT[:5])) == 1
