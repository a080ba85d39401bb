"""Resampled counts and macro F1."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from textrnn.evaluation.bootstrap import draw_counts, encode_classes, measure_macro_f1


def test_macro_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    true, predicted, counts = rng.integers(0, 4, 9), rng.integers(0, 5, 9), rng.integers(0, 6, 9)
    found = measure_macro_f1(counts[None].astype(np.float64), encode_classes(true, 7), encode_classes(predicted, 7))
    expected = f1_score(np.repeat(true, counts), np.repeat(predicted, counts), average="macro")
    assert found == pytest.approx([expected])


def test_blocks_draw_what_one_call_draws() -> None:
    counts = np.array([3, 0, 7])
    blocks = list(draw_counts(counts, np.random.default_rng(2), resamples=10, width=1 << 21))
    assert [rows for rows, _ in blocks] == [slice(start, start + 2) for start in range(0, 10, 2)]
    drawn = np.concatenate([block for _, block in blocks])
    assert np.array_equal(drawn, np.random.default_rng(2).multinomial(10, counts / 10, size=10))
