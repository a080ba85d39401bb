"""Scores as distributions over anchors: their mean, their shape, and rows that have none."""

from __future__ import annotations

import numpy as np
import pytest

from textrnn.data import score_targets
from textrnn.data.score_targets import ScoreTargets, spread_anchors

EVEN = np.arange(0.0, 12)


def make_targets(anchors: np.ndarray, scores: list[float]) -> tuple[np.ndarray, list[int]]:
    """Return the distributions (n, C) of ``scores``, and the rows that have one."""
    found = ScoreTargets(np.arange(len(scores), dtype=np.int32), np.array(scores), anchors).select(
        np.arange(len(scores))
    )
    targets = np.zeros((len(scores), len(anchors)), np.float32)
    if found is None:
        return targets, []
    found.fill(targets)
    return targets, found.find_rows().tolist()


@pytest.mark.parametrize(
    "anchors",
    [EVEN, [0, 1], [0, 1, 5], [0, 1, 2, 100, 1e6], [1, 2, 3, 4, 4.001, 1e9], np.exp(np.linspace(-3, 7, 21))],
    ids=["even", "two", "three", "an outlier", "close and far", "exponential"],
)
@pytest.mark.parametrize("sigma", [0.5, 0.75, 1.0])
def test_the_mean_of_an_anchor_s_distribution_is_the_anchor(anchors: np.ndarray, sigma: float) -> None:
    anchors = np.asarray(anchors, np.float64)
    spread = spread_anchors(anchors, sigma)
    assert (spread >= 0).all()
    np.testing.assert_allclose(spread.sum(axis=1), 1)
    np.testing.assert_allclose(spread @ anchors, anchors, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(spread[[0, -1]], np.eye(len(anchors))[[0, -1]])


def test_even_anchors_have_the_masses_of_a_gaussian() -> None:
    masses = spread_anchors(EVEN, 0.75)[5]
    np.testing.assert_allclose(masses[3:8], [0.0223, 0.2299, 0.4954, 0.2299, 0.0223], atol=1e-4)
    assert masses[[0, 1, 2, 8, 9, 10, 11]].tolist() == [0] * 7  # too small to matter
    wide = spread_anchors(EVEN, 1.0)[5]
    assert (wide[5], np.count_nonzero(wide)) == (pytest.approx(0.3829, abs=0.01), 7)


def test_the_mean_of_a_score_s_distribution_is_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    anchors, scores = np.array([-1.0, 0, 1, 5, 9]), [1, 0.25, 4, 12, -3, 9, -0.5]
    targets, rows = make_targets(anchors, scores)
    assert rows == [0, 1, 2, 6]  # the others are at the last anchor, or beyond it
    assert (targets @ anchors)[rows] == pytest.approx([1, 0.25, 4, -0.5])
    monkeypatch.setattr(score_targets, "_BLOCK", 2)
    np.testing.assert_array_equal(make_targets(anchors, scores)[0], targets)


def test_two_scores_are_two_classes() -> None:
    assert make_targets(np.array([0.0, 1]), [0, 1, 1]) == (pytest.approx(np.zeros((3, 2))), [])
    targets, rows = make_targets(np.array([0.0, 1]), [0, 0.25, 1])
    assert (rows, targets[1].tolist()) == ([1], [0.75, 0.25])


def test_true_scores_are_those_of_the_rows() -> None:
    targets = ScoreTargets(np.array([1, 0, 1], np.int32), np.array([2.5, 40]), np.array([0.0, 1, 5]))
    assert targets.find_scores(np.array([2, 1])).tolist() == [40, 2.5]
