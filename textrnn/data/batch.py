"""Encoded texts and packed batches of them: all sequences end to end, never padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Classes = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
Lengths = npt.NDArray[np.int32]


class Texts(Protocol):
    """Encoded texts: a :class:`PackedBatch` in memory, or a :class:`Corpus` on disk."""

    @property
    def lengths(self) -> Lengths:
        """The ids of each text (B,) int32."""

    def __len__(self) -> int: ...

    def select(self, rows: Rows) -> PackedBatch:
        """Return the texts ``rows``, in that order."""


@dataclass(frozen=True)
class PackedBatch:
    """Sequences end to end.

    ``ids``: (N,) int32; ``offsets``: (B+1,) int64, sequence ``b`` is ``ids[offsets[b]:offsets[b+1]]``;
    ``classes``: (B,) int64, the class of each sequence (-1: a label that the model does not know). Where texts have
    several labels, a class is a set of them (:class:`textrnn.data.labels.MultiLabelSet`).
    """

    ids: Ids
    offsets: Offsets
    classes: Classes

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Lengths:
        """The ids of each sequence (B,) int32."""
        return np.diff(self.offsets).astype(np.int32)

    def select(self, rows: Rows) -> PackedBatch:
        """Return the sequences ``rows``, in that order."""
        offsets, index = find_ids(self.offsets, rows)
        return PackedBatch(self.ids[index], offsets, self.classes[rows])


def find_ids(offsets: Offsets, rows: Rows) -> tuple[Offsets, npt.NDArray[np.int64]]:
    """Return the offsets of the sequences ``rows`` put end to end, and where each of their ids lies in the source."""
    starts = offsets[rows]
    lengths = offsets[rows + 1] - starts
    packed = make_offsets(lengths)
    # token i of the result lies as far from its sequence's start as it does in the source
    return packed, np.arange(packed[-1]) + np.repeat(starts - packed[:-1], lengths)


def pack(sequences: Sequence[Sequence[int]], classes: Sequence[int] | None = None) -> PackedBatch:
    """Pack B sequences of token ids; without ``classes`` every class is -1."""
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    ids = np.fromiter((token for sequence in sequences for token in sequence), np.int32, int(lengths.sum()))
    return pack_ids(ids, lengths, classes)


def pack_ids(ids: Ids, lengths: npt.NDArray[np.int64], classes: Sequence[int] | None = None) -> PackedBatch:
    """Pack B sequences whose ``ids`` (N,) lie end to end, with their ``lengths`` (B,)."""
    known = np.full(len(lengths), -1, np.int64) if classes is None else np.asarray(classes, np.int64)
    return PackedBatch(ids, make_offsets(lengths), known)


def make_offsets(lengths: npt.NDArray[np.int64]) -> Offsets:
    """Return the offsets (B+1,) int64 of sequences with these ``lengths`` (B,)."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
