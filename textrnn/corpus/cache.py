"""Token ids on disk: a labelled file is encoded once, in blocks and in parallel, and mapped into memory after that."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.corpus.batching import Corpus
from textrnn.corpus.source import LabelledFile
from textrnn.corpus.store import Draft, Entry, Store, make_key

Encoded = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]
Encode = Callable[["list[bytes]"], Encoded]
"""Takes texts in UTF-8; returns their ids end to end (N,) int32 and the length of each (B,) int64."""

_MOST_THREADS = 16  # more only wait for the interpreter's lock


def load_tokens(
    file: LabelledFile, encode: Encode, store: Store, *, name: str, vocab_size: int, classes: npt.NDArray[np.int64]
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
