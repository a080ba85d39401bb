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
Spans = tuple[npt.NDArray[np.int64], Lengths]
"""Parts of B texts: where each starts (B,), and its length (B,), at least 1."""


class Texts(Protocol):
    """Encoded texts in memory, on disk, or windows of such (:class:`textrnn.data.windows.WindowedTexts`)."""

    @property
    def lengths(self) -> Lengths:
        """The number of ids of each text (B,) int32."""

    def __len__(self) -> int: ...

    def select(self, rows: Rows) -> PackedBatch:
        """Return the texts with the indices ``rows``, in that order."""


class SliceableTexts(Texts, Protocol):
    """Encoded texts: a :class:`PackedBatch` in memory, or a :class:`textrnn.data.encoded.Corpus` on disk."""

    def select(self, rows: Rows, *, spans: Spans | None = None) -> PackedBatch:
        """Return the texts with the indices ``rows``, in that order, or only ``spans`` of them."""


@dataclass(frozen=True)
class SoftLabels:
    """The label distributions of some of B texts, as K triples. Other texts are certain of their class.

    ``rows`` (K,) int64: indices of texts, not falling. ``classes`` (K,) int64: classes, or in multi-label data labels.
    ``shares`` (K,) float32: their probabilities.
    """

    rows: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float32]

    def select(self, rows: Rows) -> SoftLabels | None:
        """Return those of the texts ``rows`` (B,), which then count from 0 in that order; None if none has one."""
        starts, ends = (np.searchsorted(self.rows, rows, side) for side in ("left", "right"))
        texts, index = gather_ranges(starts, ends)
        return SoftLabels(texts, self.classes[index], self.shares[index]) if len(index) else None

    def find_rows(self) -> npt.NDArray[np.int64]:
        """Return the texts that have a distribution, each once."""
        return np.unique(self.rows)

    def fill(self, targets: npt.NDArray[np.float32]) -> None:
        """Write the distributions into the rows of ``targets`` (B, C) that have one; classes of C or more are lost."""
        targets[self.find_rows()] = 0
        known = self.classes < targets.shape[1]
        targets[self.rows[known], self.classes[known]] = self.shares[known]


@dataclass(frozen=True)
class PackedBatch:
    """Sequences end to end.

    ``ids``: (N,) int32. ``offsets``: (B+1,) int64; sequence ``b`` is ``ids[offsets[b]:offsets[b+1]]``.
    ``classes``: (B,) int64, the class of each sequence; -1 marks a label unknown to the model. In multi-label data a
    class is the index of a label set (:class:`textrnn.data.labels.MultiLabelSet`). ``soft_labels``: the distributions
    of texts that have one. ``weights``: (B,) float32, the weight of each text in the loss; None: all are 1.
    """

    ids: Ids
    offsets: Offsets
    classes: Classes
    soft_labels: SoftLabels | None = None
    weights: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Lengths:
        """The number of ids of each sequence (B,) int32."""
        return np.diff(self.offsets).astype(np.int32)

    def select(self, rows: Rows, *, spans: Spans | None = None) -> PackedBatch:
        """Return the sequences with the indices ``rows``, or ``spans`` of them, in that order."""
        offsets, index = gather_index(self.offsets, rows, spans)
        soft = None if self.soft_labels is None else self.soft_labels.select(rows)
        weights = None if self.weights is None else self.weights[rows]
        return PackedBatch(self.ids[index], offsets, self.classes[rows], soft, weights)


def gather_ranges(starts: Rows, ends: Rows) -> tuple[Rows, Rows]:
    """Return the number of the range of each index of the ranges ``starts[b]:ends[b]``, and the indices themselves."""
    lengths = ends - starts
    first = make_offsets(lengths)[:-1]
    return np.repeat(np.arange(len(lengths)), lengths), np.arange(lengths.sum()) + np.repeat(starts - first, lengths)


def gather_index(offsets: Offsets, rows: Rows, spans: Spans | None = None) -> tuple[Offsets, npt.NDArray[np.int64]]:
    """Return the offsets of the sequences ``rows``, or of ``spans`` of them, put end to end, and the source index of
    each of their ids."""
    starts = offsets[rows]
    lengths = offsets[rows + 1] - starts
    if spans is not None:
        starts, lengths = starts + spans[0], spans[1].astype(np.int64)
    packed = make_offsets(lengths)
    # an id is as far from the start of its sequence in the result as in the source
    return packed, np.arange(packed[-1]) + np.repeat(starts - packed[:-1], lengths)


def pack(sequences: Sequence[Sequence[int]], classes: Sequence[int] | None = None) -> PackedBatch:
    """Return B sequences of token ids as one batch; without ``classes`` every class is -1."""
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    ids = np.fromiter((token for sequence in sequences for token in sequence), np.int32, int(lengths.sum()))
    return pack_ids(ids, lengths, classes)


def pack_ids(ids: Ids, lengths: npt.NDArray[np.int64], classes: Sequence[int] | None = None) -> PackedBatch:
    """Return a batch of B sequences from their ``ids`` (N,), end to end, and ``lengths`` (B,)."""
    known = np.full(len(lengths), -1, np.int64) if classes is None else np.asarray(classes, np.int64)
    return PackedBatch(ids, make_offsets(lengths), known)


def make_offsets(lengths: npt.NDArray[np.int64]) -> Offsets:
    """Return the offsets (B+1,) int64 of sequences with these ``lengths`` (B,)."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
