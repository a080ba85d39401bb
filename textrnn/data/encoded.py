"""Token ids on disk: a labelled file is encoded once, in blocks and in parallel, and mapped into memory after that."""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Classes, Ids, Lengths, Offsets, PackedBatch, Rows, find_ids
from textrnn.data.cache import Cache, Draft, Entry, make_key
from textrnn.data.source import LabelledFile

_PIECE = 1 << 20  # rows that are looked at together
_BLOCK = 1 << 14  # texts that are read together
_MAPPED_BYTES = 1 << 27  # of the files, at most, that stay in this process's memory
_AROUND = 1 << 16  # bytes that the system maps around each one that is read

Encoded = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]
Encode = Callable[["list[bytes]"], Encoded]
"""Takes texts in UTF-8; returns their ids end to end (N,) int32 and the length of each (B,) int64."""

_MOST_THREADS = 16  # more only wait for the interpreter's lock


def load_tokens(
    file: LabelledFile, encode: Encode, store: Cache, *, name: str, vocab_size: int, classes: npt.NDArray[np.int64]
) -> Corpus:
    """Return the encoded texts of ``file``, from the cache or into it; ``name`` tells one ``encode`` from another.

    ``classes`` (labels of the file,) int64 gives the class of each of the file's labels (-1: not known).
    """
    dtype = "<u2" if vocab_size < 1 << 16 else "<i4"
    key = make_key("tokens", file.key, name)
    entry = store.find("tokens", key)
    if entry is None:
        with store.draft() as draft:
            meta = _write_tokens(draft, file.read_texts(doing="encoding"), encode, dtype=dtype)
            meta |= {"rows": len(file), "labels": file.labels, "counts": file.counts, "first_lines": file.first_lines}
            draft.write("classes", np.ascontiguousarray(file.classes).data)
            entry = draft.commit("tokens", key, meta)
    return _open_tokens(entry, classes, dtype)


def _open_tokens(entry: Entry, classes: npt.NDArray[np.int64], dtype: str) -> Corpus:
    return Corpus(
        np.memmap(entry.folder / "ids", dtype, "r"),
        np.memmap(entry.folder / "offsets", "<i8", "r"),
        np.memmap(entry.folder / "classes", "<i4", "r"),
        class_of=classes,
    )


def _write_tokens(draft: Draft, blocks: Iterable[list[bytes]], encode: Encode, *, dtype: str) -> dict[str, Any]:
    """Write ids and offsets of the texts; they do not depend on how these come in blocks."""
    end = 0
    draft.write("offsets", np.zeros(1, "<i8").data)
    for ids, lengths in _encode_in_parallel(blocks, encode):
        draft.write("ids", ids.astype(dtype, copy=False).data)
        draft.write("offsets", (end + np.cumsum(lengths)).astype("<i8", copy=False).data)
        end += len(ids)
    return {"tokens": end, "dtype": dtype}


def _encode_in_parallel(blocks: Iterable[list[bytes]], encode: Encode) -> Iterator[Encoded]:
    """Yield the results in order; while they are computed the next blocks are read."""
    threads = count_threads()
    waiting: deque[Future[Encoded]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for texts in blocks:
                waiting.append(pool.submit(encode, texts))
                if len(waiting) > 2 * threads + 2:  # enough that none waits for a slow one before it
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def count_threads() -> int:
    """Return how many threads encode: one for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_THREADS)


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
        offsets, index = find_ids(self.offsets, rows)
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
