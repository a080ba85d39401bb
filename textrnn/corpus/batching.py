"""Encoded texts and packed batches of them: all sequences end to end, never padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Classes = npt.NDArray[np.int64]

_BATCHES_IN_POOL = 50


@dataclass(frozen=True)
class PackedBatch:
    """Sequences end to end.

    ``ids``: (N,) int32; ``offsets``: (B+1,) int64, sequence ``b`` is ``ids[offsets[b]:offsets[b+1]]``;
    ``classes``: (B,) int64, the class of each sequence (-1: a label that the model does not know).
    """

    ids: Ids
    offsets: Offsets
    classes: Classes

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def select(self, rows: npt.NDArray[np.int64]) -> PackedBatch:
        """Return the sequences ``rows``, in that order."""
        starts, lengths = self.offsets[rows], np.diff(self.offsets)[rows]
        offsets = make_offsets(lengths)
        # token i of the result lies as far from its sequence's start as it does in the source
        index = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return PackedBatch(self.ids[index], offsets, self.classes[rows])


def pack(sequences: Sequence[Sequence[int]], classes: Sequence[int] | None = None) -> PackedBatch:
    """Pack B sequences of token ids; without ``classes`` every class is -1."""
    offsets = make_offsets(np.fromiter(map(len, sequences), np.int64, len(sequences)))
    ids = np.fromiter((token for sequence in sequences for token in sequence), np.int32, int(offsets[-1]))
    known = np.full(len(sequences), -1, np.int64) if classes is None else np.asarray(classes, np.int64)
    return PackedBatch(ids, offsets, known)


def make_offsets(lengths: npt.NDArray[np.int64]) -> Offsets:
    """Return the offsets (B+1,) int64 of sequences with these ``lengths`` (B,)."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def bucket_batches(corpus: PackedBatch, batch_size: int, rng: np.random.Generator) -> Iterator[PackedBatch]:
    """Yield all of ``corpus`` once in batches of ``batch_size`` texts (the last may hold fewer).

    The order is drawn from ``rng``; texts of like length come together, from pools of 50 batches.
    """
    lengths = np.diff(corpus.offsets)
    order = rng.permutation(len(corpus))
    pool = batch_size * _BATCHES_IN_POOL
    chunks: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        chunks += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    for index in rng.permutation(len(chunks)):
        yield corpus.select(chunks[index])


def sorted_batches(corpus: PackedBatch, max_tokens: int) -> Iterator[tuple[npt.NDArray[np.int64], PackedBatch]]:
    """Yield ``(rows, batch)`` over all of ``corpus``, shortest first; ``max_tokens`` ids at most in a batch."""
    lengths = np.diff(corpus.offsets)
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        filled = np.cumsum(lengths[order[start : start + max_tokens]])
        stop = start + max(1, int(np.searchsorted(filled, max_tokens, side="right")))
        yield order[start:stop], corpus.select(order[start:stop])
        start = stop


def hold_out(classes: Sequence[int], share: float, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Split row numbers into (kept, held out), drawing ``share`` of each class from ``rng``.

    A class with two rows or more keeps one and gives one at least; a class with one row keeps it.
    """
    kept: list[int] = []
    held: list[int] = []
    by_class = np.asarray(classes)
    for index in np.unique(by_class):
        rows = rng.permutation(np.flatnonzero(by_class == index)).tolist()
        count = min(len(rows) - 1, max(1, round(len(rows) * share)))
        held += rows[:count]
        kept += rows[count:]
    return sorted(kept), sorted(held)
