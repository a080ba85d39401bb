"""Cascade: the bounds are those of scipy, and the margin is the smallest that is worth the agreement."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binomtest

from textrnn.models.cascade import (
    CONFIDENCE,
    STEPS,
    Cascade,
    fit_cascade,
    lower_bounds,
    measure_margins,
    merge_cascades,
)

Floats = npt.NDArray[np.float32]


def bound(same: int, texts: int) -> float:
    return float(binomtest(same, texts, alternative="greater").proportion_ci(CONFIDENCE, method="exact").low)


def make_logits(margins: npt.NDArray[np.generic], same: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return n-gram logits (B, 2) with these margins, and those of a whole model with the ``same`` labels or not."""
    alone = np.stack([margins, np.zeros(len(margins))], axis=1).astype(np.float32)
    return alone, np.where(same[:, None], alone, alone[:, ::-1])


def test_bounds_are_those_of_clopper_and_pearson() -> None:
    cases = [(0, 1), (0, 50), (1, 1), (1, 2), (49, 50), (299, 299), (298, 299), (99_990, 100_000)]
    found = lower_bounds(np.array([same for same, _ in cases]), np.array([texts for _, texts in cases]))
    np.testing.assert_allclose(found, [bound(*case) for case in cases], rtol=1e-9)


@pytest.mark.parametrize("agreement", [0.8, 0.85, 0.9, 0.95])
def test_the_smallest_margin_that_is_worth_the_agreement_is_found(agreement: float) -> None:
    rng = np.random.default_rng(3)
    margins = rng.permutation(np.arange(1, 2001)).astype(np.float32) / 8
    same = rng.random(2000) > 0.9 * np.exp(-margins / 60)
    cascade = fit_cascade(*make_logits(margins, same), temperature=1.0)
    worth = {}
    for margin in np.sort(margins)[:: 2000 // STEPS].tolist():  # one for each percent of the texts
        sure = margins >= margin
        worth[margin] = bound(int(same[sure].sum()), int(sure.sum()))
    expected = min(margin for margin, value in worth.items() if value >= agreement)
    assert cascade.find_margin(agreement) == expected
    assert 0.125 < expected < 250
    assert cascade.find_margin(max(worth.values()) + 1e-9) is None
    for numbers in (cascade.margins, cascade.agreements):
        assert list(numbers) == sorted(set(numbers))
    assert len(cascade.margins) <= STEPS


def test_a_few_texts_that_agree_are_worth_little() -> None:
    cascade = fit_cascade(*make_logits(np.arange(1, 31), np.ones(30, bool)), temperature=1.0)
    assert cascade.find_margin(0.9) == 1
    assert cascade.find_margin(0.91) is None  # 0.05 ** (1 / 30) is 0.905
    assert fit_cascade(*make_logits(np.arange(1, 31), np.zeros(30, bool)), temperature=1.0).margins == ()
    assert fit_cascade(*make_logits(np.arange(0), np.ones(0, bool)), temperature=1.0).margins == ()


def test_equal_margins_stay_together() -> None:
    """Half of the texts have the margin 1, and the first hundred of these agree."""
    margins, same = np.repeat([2, 1], 500), np.arange(1000) < 600
    cascade = fit_cascade(*make_logits(margins, same), temperature=1.0)
    assert cascade.margins == (1, 2)
    assert cascade.agreements == pytest.approx((bound(600, 1000), bound(500, 500)))


def test_margins_are_log_odds_at_the_temperature() -> None:
    logits = np.array([[1, 4, 2], [3, 3, -1], [-9, -5, 0]], np.float32)
    np.testing.assert_array_equal(measure_margins(logits, 0.5), [4, 0, 10])
    np.testing.assert_array_equal(measure_margins(logits[:, :1], 0.5), [0, 0, 0])
    alone, whole = make_logits(np.arange(1, 401), np.arange(400) > 50)
    scaled = fit_cascade(4 * alone, whole, temperature=4.0)
    plain = fit_cascade(alone, whole, temperature=1.0)
    assert (scaled.margins, scaled.agreements) == (plain.margins, plain.agreements)


def test_merged_cascades_are_worth_what_all_of_them_are() -> None:
    one, two = Cascade(1.0, (1.0, 2.0, 5.0), (0.5, 0.9, 0.99)), Cascade(4.0, (0.5, 3.0), (0.8, 0.95))
    merged = merge_cascades([one, two])
    assert merged.temperature == pytest.approx(2)
    for agreement in (0.0, 0.4, 0.5, 0.7, 0.8, 0.85, 0.9, 0.92, 0.95):
        expected = max(one.find_margin(agreement) or 0, two.find_margin(agreement) or 0)
        assert merged.find_margin(agreement) == expected
    assert merged.find_margin(0.96) is None
    assert merge_cascades([one]) == one
