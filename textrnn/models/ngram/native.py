"""Calling the C++ library on n-grams; what it refuses is a ValueError. ``native/ngrams.h`` has the layouts."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.native import library

Array = npt.NDArray[Any]
Spelled = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]
"""The fields of a ``Spelling``: codes (P,), offsets (V+1,)."""

REFUSED = "offsets should rise from 0 to the number of ids, and ids be of the spelling's vocabulary"
SLOT = np.dtype(np.uint64)

_TEXTS = struct.Struct("@4q4P")
_LINEAR = struct.Struct("@3q3P")


def is_available() -> bool:
    """Return whether the library is there."""
    return library.load_native().library is not None


def hash_ngrams(
    ids: Array, offsets: Array, spelling: Spelled, *, threads: int | None
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return what :func:`textrnn.models.ngram.features.hash_ngrams` does."""
    texts, held = _pack(ids, offsets, spelling)
    bounds = np.zeros(len(offsets), np.int64)
    counts = np.empty(len(offsets) - 1, np.int64)
    _call("ngram_counts", texts, library.address(counts), threads=threads)
    np.cumsum(counts, out=bounds[1:])
    keys = np.empty(int(bounds[-1]), np.uint32)
    _call("ngram_keys", texts, library.address(bounds), library.address(keys), threads=threads)
    del held  # until here
    return keys, bounds


def build_slots(keys: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64] | None:
    """Return a hash table (S,) uint64 of ``keys`` (F,), or None where they lie so that it would be slow."""
    size = 16
    while size < 4 * len(keys):
        size *= 2
    slots = np.zeros(size, SLOT)
    keys = np.ascontiguousarray(keys, np.uint32)
    lib = library.load_native().library
    assert lib is not None
    status = lib.textrnn_ngram_slots(library.address(keys), len(keys), library.address(slots), size)
    return None if status else slots


def ngram_logits(
    ids: Array, offsets: Array, spelling: Spelled, *, table: tuple[Array, Array, Array], threads: int | None
) -> npt.NDArray[np.float32]:
    """Return the logits (B, C) float32 of texts by ``table``: slots (S,), values (F, 1+C) and bias (C,) float32."""
    slots, values, bias = table
    texts, held = _pack(ids, offsets, spelling)
    logits = np.empty((len(offsets) - 1, len(bias)), np.float32)
    linear = _LINEAR.pack(
        len(values), len(bias), len(slots), library.address(slots), library.address(values), library.address(bias)
    )
    _call("ngram_scores", texts, linear, library.address(logits), threads=threads)
    del held
    return logits


def _pack(ids: Array, offsets: Array, spelling: Spelled) -> tuple[bytes, list[Array]]:
    """Return the struct, and the arrays that it points to."""
    codes, starts = spelling
    if len(offsets) == 0 or len(starts) == 0:
        raise ValueError(REFUSED)
    wanted = ((ids, np.int32), (offsets, np.int64), (codes, np.uint32), (starts, np.int64))
    held: list[Array] = [np.ascontiguousarray(array, dtype) for array, dtype in wanted]
    sizes = (len(ids), len(offsets) - 1, len(starts) - 1, len(codes))
    return _TEXTS.pack(*sizes, *map(library.address, held)), held


def _call(name: str, *arguments: int | bytes, threads: int | None) -> None:
    lib = library.load_native().library
    status = getattr(lib, f"textrnn_{name}")(*arguments, threads or library.default_threads())
    library.check(status, refused=REFUSED)
