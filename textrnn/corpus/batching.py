"""Encoded texts and packed batches of them: all sequences end to end, never padded."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from textrnn.corpus import buckets

Ids = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Classes = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
Lengths = npt.NDArray[np.int32]

_PIECE = 1 << 20  # rows that are looked at together
_BLOCK = 1 << 14  # texts that are read together
_MAPPED_BYTES = 1 << 27  # of the files, at most, that stay in this process's memory
_AROUND = 1 << 16  # bytes that the system maps around each one that is read


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
    several labels, a class is a set of them (:class:`textrnn.corpus.labels.LabelSets`).
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
        offsets, index = _find_ids(self.offsets, rows)
        return PackedBatch(self.ids[index], offsets, self.classes[rows])


@dataclass(frozen=True, eq=False)
class Corpus:
    """Encoded texts in arrays that may be files mapped into memory, of which only what is asked for is read.

    ``ids`` (N,) uint16 or int32, ``offsets`` (R+1,) int64 and ``label_numbers`` (R,) int32 hold R texts; ``rows`` (B,)
    int64 selects some of them (None: all), and ``class_of`` gives the class of each label number (-1: not known).
    """

    ids: npt.NDArray[np.uint16] | Ids
    offsets: Offsets
    label_numbers: npt.NDArray[np.int32]
    class_of: Classes
    rows: Rows | None = None

    def __len__(self) -> int:
        return len(self.label_numbers) if self.rows is None else len(self.rows)

    def keep(self, rows: Rows) -> Corpus:
        """Return the texts ``rows`` alone, without a copy of them."""
        return Corpus(self.ids, self.offsets, self.label_numbers, self.class_of, self._find(rows))

    @cached_property
    def lengths(self) -> Lengths:
        """The ids of each text (B,) int32."""
        lengths = np.empty(len(self), np.int32)
        for start in range(0, len(self), _PIECE):
            stop = min(start + _PIECE, len(self))
            if self.rows is None:
                lengths[start:stop] = np.diff(self.offsets[start : stop + 1])
            else:
                rows = self.rows[start:stop]
                lengths[start:stop] = self.offsets[rows + 1] - self.offsets[rows]
            self._pages.let_go()
        return lengths

    @cached_property
    def tokens(self) -> int:
        """The ids of all texts together."""
        return int(self.lengths.sum(dtype=np.int64))

    @property
    def classes(self) -> Classes:
        """The class of each text (B,) int64."""
        numbers = self.label_numbers if self.rows is None else self.label_numbers[self.rows]
        return self.class_of[numbers]

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes of all texts, their lengths and classes, some texts at a time."""
        for start in range(0, len(self), _BLOCK):
            batch = self.select(np.arange(start, min(start + _BLOCK, len(self))))
            yield batch.ids.tobytes() + batch.offsets.tobytes() + batch.classes.tobytes()

    def count_classes(self, classes: int) -> list[int]:
        """Return how many texts there are of each class below ``classes``."""
        counts = np.zeros(classes + 1, np.int64)  # the last is that of unknown ones
        for start in range(0, len(self), _PIECE):
            rows = self._find(np.arange(start, min(start + _PIECE, len(self))))
            found = self.class_of[self.label_numbers[rows]]
            counts += np.bincount(np.where(found < 0, classes, found), minlength=classes + 1)
        return [int(count) for count in counts[:classes]]

    def count_ids(self, V: int) -> npt.NDArray[np.int64]:
        """Return how often each of the ids below ``V`` stands in the texts (V,)."""
        counts = np.zeros(V, np.int64)
        for start in range(0, len(self), _BLOCK):
            batch = self.select(np.arange(start, min(start + _BLOCK, len(self))))
            counts += np.bincount(batch.ids, minlength=V)
        return counts

    def select(self, rows: Rows) -> PackedBatch:
        """Return the texts ``rows``, in that order."""
        rows = self._find(rows)
        offsets, index = _find_ids(self.offsets, rows)
        batch = PackedBatch(self.ids[index].astype(np.int32), offsets, self.class_of[self.label_numbers[rows]])
        self._pages.count(len(rows), index.size * self.ids.itemsize)
        return batch

    def _find(self, rows: Rows) -> Rows:
        return rows if self.rows is None else self.rows[rows]

    @cached_property
    def _pages(self) -> _Pages:
        return _Pages(self.ids, self.offsets, self.label_numbers)


class _Pages:
    """Gives pages of mapped files back now and then: read once, they would stay with the process to its end."""

    def __init__(self, *arrays: npt.NDArray[Any]) -> None:
        bases: list[Any] = [array.base for array in arrays]
        self._maps = [base for base in bases if isinstance(base, mmap.mmap)]
        self._rows = self._bytes = 0

    def count(self, rows: int, size: int) -> None:
        """Count that ``size`` bytes of ``rows`` places were read; give pages back when there may be many."""
        self._rows, self._bytes = self._rows + rows, self._bytes + size
        read = self._rows * _AROUND + self._bytes
        if sum(min(len(mapped), read) for mapped in self._maps) > _MAPPED_BYTES:
            self.let_go()

    def let_go(self) -> None:
        """Give all pages back. The system keeps them as long as it has room, and they come again when they are read."""
        self._rows = self._bytes = 0
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)


def _find_ids(offsets: Offsets, rows: Rows) -> tuple[Offsets, npt.NDArray[np.int64]]:
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


def bucket_batches(
    corpus: Texts, batch_size: int | None, rng: np.random.Generator, *, batch_tokens: int | None = None, skip: int = 0
) -> Iterator[PackedBatch]:
    """Yield all of ``corpus`` once, texts of like length together, in an order that is drawn from ``rng``.

    Batches have ``batch_size`` texts (one may have fewer), or ``batch_tokens`` ids at most, a longer text being a batch
    by itself. The first ``skip`` batches are passed over, and their texts are not read.
    """
    for rows in bucket_rows(corpus, batch_size, rng, batch_tokens=batch_tokens, skip=skip):
        yield corpus.select(rows)


def bucket_rows(
    corpus: Texts, batch_size: int | None, rng: np.random.Generator, *, batch_tokens: int | None = None, skip: int = 0
) -> Iterator[Rows]:
    """Yield the rows (B,) int64 of each batch that :func:`bucket_batches` yields, for ``corpus.select``."""
    return buckets.draw_batches(corpus.lengths, batch_size, rng, batch_tokens=batch_tokens, skip=skip)


def count_batches(corpus: Texts, batch_size: int | None, *, batch_tokens: int | None = None) -> int:
    """Return how many batches :func:`bucket_batches` yields: the same number whatever ``rng`` draws."""
    return buckets.count_batches(corpus.lengths, batch_size, batch_tokens=batch_tokens)


def sorted_batches(corpus: Texts, max_tokens: int) -> Iterator[tuple[Rows, PackedBatch]]:
    """Yield ``(rows, batch)`` over all of ``corpus``, shortest first; ``max_tokens`` ids at most in a batch."""
    lengths = corpus.lengths
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        filled = np.cumsum(lengths[order[start : start + max_tokens]], dtype=np.int64)
        stop = start + max(1, int(np.searchsorted(filled, max_tokens, side="right")))
        yield order[start:stop], corpus.select(order[start:stop])
        start = stop


def hold_out(classes: npt.ArrayLike, share: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Split row numbers into (kept, held out), both rising, drawing ``share`` of each class from ``rng``.

    A class with two rows or more keeps one and gives one at least; a class with one row keeps it.
    """
    by_class = np.asarray(classes)
    order = np.argsort(by_class, kind="stable")
    held = np.zeros(len(order), np.bool_)
    sizes = np.unique(by_class, return_counts=True)[1]
    stop = 0
    for size in sizes.tolist():
        start, stop = stop, stop + size
        rows = rng.permutation(order[start:stop])
        held[rows[: min(size - 1, max(1, round(size * share)))]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def hold_out_fold(classes: npt.ArrayLike, number: int, folds: int, *, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Split row numbers into (kept, held out), both rising: held out is the part ``number``, from 1, of ``folds``.

    The rows of a class, in an order drawn from ``rng``, are dealt to the parts in turn, and those of the next class
    go on where they ended, so that parts differ by one row at most, in each class and together. With the same ``rng``
    each row is held out by one part, but for a class with one row, which keeps it.
    """
    by_class = np.asarray(classes)
    order = np.argsort(by_class, kind="stable")
    held = np.zeros(len(order), np.bool_)
    stop = dealt = 0
    for size in np.unique(by_class, return_counts=True)[1].tolist():
        start, stop = stop, stop + size
        rows = rng.permutation(order[start:stop])
        if size > 1:
            held[rows[(number - 1 - dealt) % folds :: folds]] = True
            dealt += size
    return np.flatnonzero(~held), np.flatnonzero(held)
