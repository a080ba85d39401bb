"""The time-major order of packed rows, in which a loop over time steps reads them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]


class TimeMajor(NamedTuple):
    """The layout of torch's ``PackedSequence``.

    ``rank`` (B,): the sequences, longest first, ties in the order of the batch. ``order`` (N,): the rows of step 0 of
    every sequence in the order of ``rank``, then of step 1 of the sequences that have one, and so on. ``batch_sizes``
    (T,): the number of sequences that have step ``t``; it never rises.
    """

    rank: Index
    order: Index
    batch_sizes: Index


def time_major(offsets: Index) -> TimeMajor:
    """Return the time-major order of packed sequences with ``offsets`` (B+1,) int64."""
    lengths = np.diff(offsets)
    rank = longest_first(offsets)
    place = np.empty_like(rank)
    place[rank] = np.arange(len(rank))
    steps = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    order = np.lexsort((np.repeat(place, lengths), steps))
    return TimeMajor(rank, order, np.bincount(steps).astype(np.int64))


def longest_first(offsets: Index) -> Index:
    """Return the sequences (B,), the longest first, ties in the order of the batch."""
    return np.argsort(-np.diff(offsets), kind="stable")


def reverse_rows(offsets: Index) -> Index:
    """Return for each row (N,) the row that mirrors it in its own sequence."""
    lengths = np.diff(offsets)
    return np.repeat(offsets[:-1] + offsets[1:] - 1, lengths) - np.arange(offsets[-1])
