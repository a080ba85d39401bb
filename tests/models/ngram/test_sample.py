"""Which texts are fitted: all of a small set, a sample of a large one."""

from __future__ import annotations

import numpy as np
import pytest

from pieces import make_spelling
from textrnn.data.batch import pack
from textrnn.models.ngram import sample
from textrnn.models.ngram.counts import NgramCounts
from textrnn.models.ngram.sample import draw_sample

RNG = np.random.default_rng(0)
TEXTS = pack([RNG.choice([2, 3, 5, 6, 7, 8, 9, 11, 12, 14, 16, 18], 9).tolist() for _ in range(200)])
ENTRIES = len(NgramCounts.of(TEXTS, np.arange(200), make_spelling()).keys)


def draw(*, rows: int = 200, regressions: int = 1, seed: int = 1) -> tuple[list[int], bool]:
    found, is_exact = draw_sample(TEXTS, make_spelling(), rows=np.arange(rows), regressions=regressions, seed=seed)
    return found.tolist(), is_exact


def test_a_small_set_is_fitted_exactly() -> None:
    assert draw() == ([*range(200)], True)
    assert draw(rows=0) == ([], True)


@pytest.mark.parametrize("bound", ["EXACT_TOKENS", "EXACT_NGRAMS", "EXACT_WORK"])
def test_a_larger_set_is_fitted_approximately(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(sample, bound, 200 * 9 - 1)
    assert draw() == ([*range(200)], False)
    monkeypatch.setattr(sample, bound, 200 * 9 * 40)
    assert draw()[1]
    assert draw(regressions=40)[1] == (bound != "EXACT_WORK")


@pytest.mark.parametrize("bound", ["MAX_TOKENS", "MAX_ENTRIES", "MAX_WORK"])
def test_a_set_above_the_limits_is_sampled(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(sample, "EXACT_TOKENS", 0)
    monkeypatch.setattr(sample, bound, 450 if bound == "MAX_TOKENS" else ENTRIES // 4)
    rows, is_exact = draw()
    assert not is_exact
    assert rows == sorted(set(rows))
    assert len(rows) == pytest.approx(50, abs=1)
    assert draw()[0] == rows != draw(seed=2)[0]
    assert len(draw(regressions=5)[0]) == pytest.approx(10 if bound == "MAX_WORK" else 50, abs=1)


def test_repeated_ngrams_are_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    repetitive = pack([[3] * 90 for _ in range(20)])
    monkeypatch.setattr(sample, "EXACT_TOKENS", 0)
    monkeypatch.setattr(sample, "MAX_ENTRIES", 20 * 90)
    assert len(draw_sample(repetitive, make_spelling(), rows=np.arange(20), regressions=1, seed=1)[0]) == 20
