"""Packed batches keep every sequence and its class."""

from __future__ import annotations

import numpy as np
import pytest

from packed import make_batch, unpack
from textrnn.data.batch import make_offsets, pack


@pytest.mark.parametrize(
    "sequences", [[], [[]], [[5]], [[1, 2], [], [3]], [[], [], [7, 8, 9]], [[4, 4], [4]], [[2**31 - 1, 0]]]
)
def test_pack_keeps_every_sequence(sequences: list[list[int]]) -> None:
    batch = pack(sequences)
    assert unpack(batch) == sequences
    assert batch.classes.tolist() == [-1] * len(sequences)
    assert pack(sequences, range(len(sequences))).classes.tolist() == list(range(len(sequences)))


@pytest.mark.parametrize(("lengths", "offsets"), [([], [0]), ([3], [0, 3]), ([2, 0, 5], [0, 2, 2, 7])])
def test_offsets_are_the_cumulative_lengths(lengths: list[int], offsets: list[int]) -> None:
    made = make_offsets(np.array(lengths, np.int64))
    assert made.dtype == np.int64
    assert made.tolist() == offsets


@pytest.mark.parametrize("rows", [[], [0], [6], [6, 0], [3, 3, 3], [0, 1, 2, 3, 4, 5, 6], [5, 1, 5, 0], [2, 4, 2]])
def test_select_returns_the_rows_in_that_order(rows: list[int]) -> None:
    sequences = [[1, 2, 3], [4], [], [5, 6], [], [7, 8, 9, 10], [11]]
    batch = pack(sequences, range(10, 17)).select(np.array(rows, np.int64))
    assert unpack(batch) == [sequences[row] for row in rows]
    assert batch.classes.tolist() == [10 + row for row in rows]


def test_select_copies_its_source() -> None:
    batch, sequences = make_batch(9)
    selected = batch.select(np.arange(9))
    selected.ids[:] = -5
    selected.classes[:] = -5
    assert unpack(batch) == sequences
    assert batch.classes.tolist() == list(range(9))
