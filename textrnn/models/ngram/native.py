"""N-grams by the C++ library; what it refuses is a ValueError."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.native import library
from textrnn.native.library import TEXTS_REFUSED as REFUSED

Array = npt.NDArray[Any]
Spelled = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]
"""The fields of a ``Spelling``: codes (P,), offsets (V+1,)."""

SLOT = np.dtype(np.uint64)

__all__ = ["REFUSED", "SLOT", "build_slots", "hash_ngrams", "is_available", "ngram_logits"]


def is_available() -> bool:
    """Return whether the C++ library is loaded."""
    return library.is_available()


def hash_ngrams(
    ids: Array, offsets: Array, spelling: Spelled, *, threads: int | None
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return what :func:`textrnn.models.ngram.features.hash_ngrams` does."""
    threads = threads or library.default_threads()
    texts = _convert(ids, offsets, spelling)
    bounds, counts = np.zeros(len(offsets), np.int64), np.empty(max(0, len(offsets) - 1), np.int64)
    library.ngram_counts(*texts, counts=counts, threads=threads)
    np.cumsum(counts, out=bounds[1:])
    keys = np.empty(int(bounds[-1]), np.uint32)
    library.ngram_keys(*texts, bounds=bounds, keys=keys, threads=threads)
    return keys, bounds


def build_slots(keys: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64] | None:
    """Return a hash table (S,) uint64 of ``keys`` (F,), or None if their crowding would make it slow."""
    size = 16
    while size < 4 * len(keys):
        size *= 2
    slots = np.zeros(size, SLOT)
    try:
        library.ngram_slots(np.ascontiguousarray(keys, np.uint32), slots)
    except ValueError:
        return None
    return slots


def ngram_logits(
    ids: Array, offsets: Array, spelling: Spelled, *, table: tuple[Array, Array, Array], threads: int | None
) -> npt.NDArray[np.float32]:
    """Return the logits (B, C) float32 of texts by ``table``: slots (S,), values (F, 1+C) and bias (C,) float32."""
    logits = np.empty((max(0, len(offsets) - 1), len(table[2])), np.float32)
    texts = _convert(ids, offsets, spelling)
    library.ngram_logits(*texts, table=table, logits=logits, threads=threads or library.default_threads())
    return logits


def _convert(ids: Array, offsets: Array, spelling: Spelled) -> tuple[Array, Array, Spelled]:
    codes, starts = np.ascontiguousarray(spelling[0], np.uint32), np.ascontiguousarray(spelling[1], np.int64)
    return np.ascontiguousarray(ids, np.int32), np.ascontiguousarray(offsets, np.int64), (codes, starts)
