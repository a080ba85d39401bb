"""The order of packed rows in which time runs first: what a loop over steps walks through."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]


def time_major(offsets: Index) -> tuple[Index, Index, Index]:
    """Return ``(rank, order, batch_sizes)`` for packed sequences with ``offsets`` (B+1,) int64.

    ``rank`` (B,): the sequences, longest first, ties as they come. ``order`` (N,): all rows, step 0 of every sequence
    in the order of ``rank``, then step 1 of those that have one, and so on. ``batch_sizes`` (T,): how many sequences
    have step ``t``; it never rises. This is the layout of torch's ``PackedSequence``.
    """
    lengths = np.diff(offsets)
    rank = np.argsort(-lengths, kind="stable")
    place = np.empty_like(rank)
    place[rank] = np.arange(len(rank))
    steps = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    order = np.lexsort((np.repeat(place, lengths), steps))
    return rank, order, np.bincount(steps).astype(np.int64)


def reverse_rows(offsets: Index) -> Index:
    """Return for each row (N,) the row that mirrors it in its own sequence."""
    lengths = np.diff(offsets)
    return np.repeat(offsets[:-1] + offsets[1:] - 1, lengths) - np.arange(offsets[-1])
