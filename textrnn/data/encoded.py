"""Token ids on disk: a labelled file is encoded once, in parallel, and memory-mapped from then on."""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Classes, Ids, Lengths, Offsets, PackedBatch, Rows, SoftLabels, Spans, gather_index
from textrnn.data.cache import Cache, Draft, make_key
from textrnn.data.reading.source import LabelledFile
from textrnn.data.score_targets import ScoreTargets
from textrnn.data.soft_labels import SoftLabelSource
from textrnn.errors import DataError

Encoded = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]
Encode = Callable[["list[bytes]"], Encoded]
"""Takes texts in UTF-8; returns the ids that are read of them, end to end (N,) int32, how many of each (B,) int64, and
the number of pieces of each whole text (B,) int64."""

Item = TypeVar("Item")
Result = TypeVar("Result")

_MAX_THREADS = 16  # more only wait for the interpreter's lock
_CHUNK_ROWS = 1 << 20  # rows per step: bounds the temporary memory
_BLOCK_TEXTS = 1 << 14
_MAPPED_BYTES = 1 << 27  # of the mapped files that may stay in this process's memory
_READ_AHEAD = 1 << 16  # bytes that the system maps around each byte that is read


def load_tokens(
    file: LabelledFile, encode: Encode, cache: Cache, *, name: str, vocab_size: int, classes: Classes
) -> Corpus:
    """Return the encoded texts of ``file``, from the cache if they are there.

    ``name`` identifies ``encode`` in the cache. ``classes`` (labels of the file,) int64 gives the class of each label
    of the file; -1 marks a label unknown to the model.
    """
    dtype = "<u2" if vocab_size < 1 << 16 else "<i4"
    key = make_key("tokens", file.key, name)
    entry = cache.get("tokens", key)
    if entry is None:
        with cache.draft() as draft:
            meta = _write_tokens(draft, file.read_texts(activity="encoding"), encode, dtype=dtype)
            meta |= {"rows": len(file), "labels": file.labels, "counts": file.counts, "first_lines": file.first_lines}
            draft.write("classes", np.ascontiguousarray(file.classes).data)
            entry = draft.commit("tokens", key, meta)
    return Corpus(
        np.memmap(entry.folder / "ids", dtype, "r"),
        np.memmap(entry.folder / "offsets", "<i8", "r"),
        np.memmap(entry.folder / "classes", "<i4", "r"),
        class_of=classes,
        pieces=np.memmap(entry.folder / "pieces", "<i8", "r"),
    )


def load_lines(blocks: Iterable[list[bytes]], encode: Encode, cache: Cache, *, key: str, vocab_size: int) -> Corpus:
    """Return the encoded lines of raw text, from the cache if they are there; ``blocks`` are read if they are not.

    The class of each line is its index.
    """
    dtype = "<u2" if vocab_size < 1 << 16 else "<i4"
    entry = cache.get("tokens", key)
    if entry is None:
        with cache.draft() as draft:
            meta = _write_tokens(draft, blocks, encode, dtype=dtype)
            entry = draft.commit("tokens", key, meta)
    offsets = np.memmap(entry.folder / "offsets", "<i8", "r")
    rows = np.arange(len(offsets) - 1)
    return Corpus(np.memmap(entry.folder / "ids", dtype, "r"), offsets, rows.astype(np.int32), class_of=rows)


def _write_tokens(draft: Draft, blocks: Iterable[list[bytes]], encode: Encode, *, dtype: str) -> dict[str, Any]:
    """Write ids and offsets of the texts, whatever blocks the texts come in; return the metadata."""
    end = 0
    draft.write("offsets", np.zeros(1, "<i8").data)
    for ids, lengths, pieces in map_in_threads(encode, blocks):
        draft.write("pieces", pieces.astype("<i8", copy=False).data)
        draft.write("ids", ids.astype(dtype, copy=False).data)
        draft.write("offsets", (end + np.cumsum(lengths)).astype("<i8", copy=False).data)
        end += len(ids)
    return {"tokens": end, "dtype": dtype}


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``function(item)`` for each item in order; the next items are read in the meantime."""
    threads = count_threads()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * threads + 2:  # enough that no thread idles behind a slow item
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except DataError:  # of the file that the items come from: those before the fault count
            while waiting:
                yield waiting.popleft().result()
            raise
        finally:
            for future in waiting:
                future.cancel()


def count_threads() -> int:
    """Return one thread for each core that this process may use, up to 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MAX_THREADS)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Encoded texts in memory-mapped arrays, of which only the requested parts are read.

    ``ids`` (N,) uint16 or int32, ``offsets`` (R+1,) int64 and ``label_numbers`` (R,) int32 hold R texts. ``rows`` (B,)
    int64 selects B of them (None: all). ``class_of`` gives the class of each label number (-1: unknown to the model).
    ``soft_labels`` are the distributions of texts that have one. ``weights`` (R,) float32 are the weights of the texts;
    None: all are 1. ``pieces`` (R,) int64 are the pieces of the whole texts; None: ``ids`` has all of them.
    """

    ids: npt.NDArray[np.uint16] | Ids
    offsets: Offsets
    label_numbers: npt.NDArray[np.int32]
    class_of: Classes
    rows: Rows | None = None
    soft_labels: SoftLabelSource | None = None
    weights: npt.NDArray[np.float32] | None = None
    pieces: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.label_numbers) if self.rows is None else len(self.rows)

    def keep(self, rows: Rows) -> Corpus:
        """Return a corpus of the texts with the indices ``rows``, without copying them."""
        return replace(self, rows=self._source_rows(rows))

    def attach(self, soft_labels: SoftLabelSource | None) -> Corpus:
        """Return a corpus whose texts have ``soft_labels``, which count the texts of the file."""
        return self if soft_labels is None else replace(self, soft_labels=soft_labels)

    @cached_property
    def lengths(self) -> Lengths:
        """The number of ids of each text (B,) int32."""
        lengths = np.empty(len(self), np.int32)
        for rows in self._row_ranges(_CHUNK_ROWS):
            source = self._source_rows(rows)
            lengths[rows] = self.offsets[source + 1] - self.offsets[source]
            self._pages.release()
        return lengths

    @cached_property
    def tokens(self) -> int:
        """The number of ids of all texts together."""
        return int(self.lengths.sum(dtype=np.int64))

    @property
    def piece_counts(self) -> npt.NDArray[np.int64]:
        """The number of pieces of each whole text (B,) int64, of which ``ids`` has those that are read."""
        if self.pieces is None:
            return self.lengths.astype(np.int64)
        return np.array(self.pieces if self.rows is None else self.pieces[self.rows])

    @property
    def classes(self) -> Classes:
        """The class of each text (B,) int64."""
        numbers = self.label_numbers if self.rows is None else self.label_numbers[self.rows]
        return self.class_of[numbers]

    @property
    def text_weights(self) -> npt.NDArray[np.float32] | None:
        """The weight of each text (B,) float32; None: all are 1."""
        return self.weights if self.weights is None or self.rows is None else self.weights[self.rows]

    def blocks(self) -> Iterator[PackedBatch]:
        """Yield all texts in order, many at a time."""
        return map(self.select, self._row_ranges(_BLOCK_TEXTS))

    def count_classes(self, classes: int) -> list[int]:
        """Return the number of texts of each class below ``classes``."""
        counts = np.zeros(classes + 1, np.int64)  # the last counts unknown labels
        for rows in self._row_ranges(_CHUNK_ROWS):
            known = self.class_of[self.label_numbers[self._source_rows(rows)]]
            counts += np.bincount(np.where(known < 0, classes, known), minlength=classes + 1)
        return [int(count) for count in counts[:classes]]

    def count_ids(self, V: int) -> npt.NDArray[np.int64]:
        """Return the frequency (V,) of each id below ``V`` in the texts."""
        counts = np.zeros(V, np.int64)
        for batch in self.blocks():
            counts += np.bincount(batch.ids, minlength=V)
        return counts

    def select(self, rows: Rows, *, spans: Spans | None = None) -> PackedBatch:
        """Return the texts with the indices ``rows``, in that order, or only ``spans`` of them."""
        rows = self._source_rows(rows)
        offsets, index = gather_index(self.offsets, rows, spans)
        classes = self.class_of[self.label_numbers[rows]]
        weights = None if self.weights is None else self.weights[rows]
        batch = PackedBatch(self.ids[index].astype(np.int32), offsets, classes, self._select_soft(rows), weights)
        self._pages.count(len(rows), index.size * self.ids.itemsize)
        return batch

    def select_soft_labels(self, rows: Rows) -> SoftLabels | None:
        """Return the distributions of the texts with the indices ``rows``, or None without any."""
        return self._select_soft(self._source_rows(rows))

    def select_scores(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the true scores (B,) of the texts with the indices ``rows``; raises TypeError for other labels."""
        if not isinstance(self.soft_labels, ScoreTargets):
            raise TypeError("the texts have labels, not scores")
        return self.soft_labels.find_scores(self._source_rows(rows))

    def _select_soft(self, source: Rows) -> SoftLabels | None:
        return None if self.soft_labels is None else self.soft_labels.select(source)

    def _row_ranges(self, size: int) -> Iterator[Rows]:
        return (np.arange(start, min(start + size, len(self))) for start in range(0, len(self), size))

    def _source_rows(self, rows: Rows) -> Rows:
        return rows if self.rows is None else self.rows[rows]

    @cached_property
    def _pages(self) -> _Pages:
        return _Pages(self.ids, self.offsets, self.label_numbers)


class _Pages:
    """Releases the pages of memory-mapped files now and then: once read, they would stay with the process."""

    def __init__(self, *arrays: npt.NDArray[Any]) -> None:
        bases: list[Any] = [array.base for array in arrays]
        self._maps = [base for base in bases if isinstance(base, mmap.mmap)]
        self._rows = self._bytes = 0

    def count(self, rows: int, size: int) -> None:
        """Count a read of ``size`` bytes at ``rows`` places; release the pages when there may be many."""
        self._rows, self._bytes = self._rows + rows, self._bytes + size
        read = self._rows * _READ_AHEAD + self._bytes
        if sum(min(len(mapped), read) for mapped in self._maps) > _MAPPED_BYTES:
            self.release()

    def release(self) -> None:
        """Release all pages. The system keeps them while it has room, and maps them again on the next read."""
        self._rows = self._bytes = 0
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)
