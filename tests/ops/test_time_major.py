"""The time-major order against torch's PackedSequence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from textrnn.data.batch import make_offsets
from textrnn.ops.time_major import reverse_rows, time_major


@pytest.mark.parametrize("lengths", [[1], [3, 1, 5, 5, 2], [2, 2, 2], [7, 6, 5]])
def test_time_major_is_the_order_of_packed_sequence(lengths: list[int]) -> None:
    offsets = make_offsets(np.array(lengths))
    rows = [torch.arange(start, stop) for start, stop in zip(offsets[:-1], offsets[1:], strict=True)]
    packed = pack_sequence(rows, enforce_sorted=False)
    rank, order, batch_sizes = time_major(offsets)
    assert batch_sizes.tolist() == packed.batch_sizes.tolist()
    assert [lengths[i] for i in rank] == sorted(lengths, reverse=True)
    # torch may order ties otherwise, but each step holds the same rows
    for mine, theirs in zip(
        np.split(order, np.cumsum(batch_sizes)[:-1]), torch.split(packed.data, batch_sizes.tolist()), strict=True
    ):
        assert sorted(mine.tolist()) == sorted(theirs.tolist())


def test_time_major_skips_empty_sequences() -> None:
    rank, order, batch_sizes = time_major(make_offsets(np.array([0, 2, 0, 1])))
    assert rank.tolist() == [1, 3, 0, 2]
    assert order.tolist() == [0, 2, 1]
    assert batch_sizes.tolist() == [2, 1]


def test_reverse_rows_mirrors_each_sequence() -> None:
    assert reverse_rows(make_offsets(np.array([3, 0, 1, 2]))).tolist() == [2, 1, 0, 3, 5, 4]
