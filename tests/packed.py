"""Random packed batches, and their sequences as lists."""

from __future__ import annotations

import numpy as np

from textrnn.data.batch import PackedBatch, pack


def make_batch(rows: int, *, longest: int = 9, shortest: int = 1, seed: int = 0) -> tuple[PackedBatch, list[list[int]]]:
    """Return a batch whose row ``i`` has class ``i``, and its sequences."""
    rng = np.random.default_rng(seed)
    sequences = [rng.integers(0, 1000, rng.integers(shortest, longest + 1)).tolist() for _ in range(rows)]
    return pack(sequences, range(rows)), sequences


def unpack(batch: PackedBatch) -> list[list[int]]:
    """Return the sequences of a batch, after checking its invariants."""
    assert (batch.ids.dtype, batch.offsets.dtype, batch.classes.dtype) == (np.int32, np.int64, np.int64)
    assert (batch.offsets[0], batch.offsets[-1]) == (0, len(batch.ids))
    assert len(batch.classes) == len(batch) == len(batch.offsets) - 1
    return [batch.ids[a:b].tolist() for a, b in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)]
