"""The matrix of counts: the keys that it finds, and those that the table lacks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from textrnn.models.ngram.counts import NgramCounts, split_into_chunks

TOP = 3 * 2**30 - 1  # of three kinds
CROWDED = [5, 6, 7, 8, 9, 2**31]


@pytest.mark.parametrize(
    "table",
    [[7], [0, TOP], CROWDED, np.random.default_rng(0).integers(0, 3 * 2**30, 3000).tolist()],
    ids=["one key", "the ends", "crowded", "many"],
)
def test_each_key_of_a_text_is_found_or_left_out(table: list[int]) -> None:
    keys = np.unique(np.array(table, np.uint32))
    near = np.concatenate([keys.astype(np.int64) + step for step in (-1, 0, 1)])
    text = np.unique(np.clip(np.append(near, [0, TOP]), 0, TOP)).astype(np.uint32)
    counts = NgramCounts(np.tile(text, 2), np.ones(2 * len(text), np.int32), np.array([0, len(text), 2 * len(text)]))
    x = counts.to_matrix(keys, np.ones(len(keys), np.float32))
    assert x.shape == (2, len(keys))
    for row in range(2):
        assert x[[row]].indices.tolist() == [*range(len(keys))]
    norms: npt.NDArray[np.float64] = np.asarray(x.multiply(x).sum(axis=1)).ravel()
    assert norms[0] == norms[1] > 0


def test_a_text_without_a_known_key_has_an_empty_row() -> None:
    counts = NgramCounts(np.array([1, 9], np.uint32), np.ones(2, np.int32), np.array([0, 1, 2]))
    x = counts.to_matrix(np.array([9], np.uint32), np.ones(1, np.float32))
    assert x.toarray().tolist() == [[0.0], [1.0]]


def test_chunks_hold_at_most_the_limit_or_one_text() -> None:
    assert [(part.start, part.stop) for part in split_into_chunks(np.array([3, 3, 9, 1, 1, 0]), 6)] == [
        (0, 2),
        (2, 3),
        (3, 6),
    ]
