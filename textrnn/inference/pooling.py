"""Layer norm of rows and pooling of sequences, for prediction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textrnn.native import functions, library
from textrnn.ops.time_major import Index

Array = npt.NDArray[np.float32]

NORM_EPSILON = np.float32(1e-5)  # as in torch.nn.LayerNorm


def sigmoid(x: Array) -> Array:
    """Return the logistic function of ``x``, computed by tanh, which never overflows."""
    half: Array = np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)
    return half


def layer_norm(x: Array, weight: Array, bias: Array, *, threads: int) -> Array:
    """Return the layer norm of each row of ``x`` (N, D), C-contiguous (Ba, Kiros and Hinton, arXiv 1607.06450).

    Raises:
        MemoryError: the C++ library cannot allocate memory.
    """
    normed = np.empty_like(x)
    if library.is_available():
        functions.layer_norm(x=x, n=normed, gain=weight, bias=bias, epsilon=float(NORM_EPSILON), threads=threads)
    else:
        centered = x - x.mean(axis=1, keepdims=True)
        scale = np.sqrt(np.square(centered).mean(axis=1, keepdims=True) + NORM_EPSILON)
        normed[...] = centered / scale * weight + bias
    return normed


def pool(h: Array, offsets: Index, how: str, *, w: Array | None, bidirectional: bool, threads: int) -> Array:
    """Return one row for each sequence of ``h`` (N, width), as :class:`textrnn.models.pooling.SequencePool` does.

    Raises:
        MemoryError: the C++ library cannot allocate memory.
        ValueError: ``offsets`` do not rise by at least 1 from 0 to N.
    """
    if how == "last":
        half = h.shape[1] // 2 if bidirectional else h.shape[1]
        return np.concatenate([h[offsets[1:] - 1, :half], h[offsets[:-1], half:]], axis=1)
    if not library.is_available():
        if how == "attention":
            assert w is not None
            return _attend(h, offsets, w)
        starts, lengths = offsets[:-1], np.diff(offsets).astype(np.float32)[:, None]
        sums: Array = np.add.reduceat(h, starts)
        pools = {"max": np.maximum.reduceat(h, starts), "mean": sums / lengths}
        return np.concatenate([pools[part] for part in how.split("+")], axis=1)
    shape = (len(offsets) - 1, h.shape[1])
    parts = {part: np.empty(shape, np.float32) for part in how.split("+")}
    if "attention" in parts:
        functions.attend(x=h, w=w, offsets=offsets, pooled=parts["attention"], threads=threads)
    else:
        place = np.empty(shape, np.int32) if "max" in parts else None
        pooled = {"largest": parts.get("max"), "place": place, "mean": parts.get("mean")}
        functions.pool_rows(x=h, offsets=offsets, **pooled, threads=threads)
    return np.concatenate([*parts.values()], axis=1)


def _attend(h: Array, offsets: Index, w: Array) -> Array:
    scores, starts = (np.tanh(h) @ w)[:, None], offsets[:-1]
    largest = np.maximum.reduceat(scores, starts)
    weights: Array = np.exp(scores - np.repeat(largest, np.diff(offsets), axis=0))
    weighted: Array = np.add.reduceat(weights * h, starts)
    totals: Array = np.add.reduceat(weights, starts)
    return weighted / totals
