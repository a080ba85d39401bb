"""Layer norm of rows and pooling of sequences, for prediction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textrnn.native import library
from textrnn.ops.time_major import Index

Array = npt.NDArray[np.float32]

_NORM_EPSILON = np.float32(1e-5)  # as in torch.nn.LayerNorm


def sigmoid(x: Array) -> Array:
    """Return the logistic function of ``x``, computed by tanh, which never overflows."""
    half: Array = np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)
    return half


def normalize(x: Array, weight: Array, bias: Array, *, threads: int) -> Array:
    """Return the layer norm of each row of ``x`` (N, D), C-contiguous (Ba, Kiros and Hinton, arXiv 1607.06450).

    Raises:
        MemoryError: the C++ library cannot allocate memory.
    """
    lib = library.load_native().library
    if lib is None:
        centered = x - x.mean(axis=1, keepdims=True)
        scale = np.sqrt(np.square(centered).mean(axis=1, keepdims=True) + _NORM_EPSILON)
        normed: Array = centered / scale * weight + bias
        return normed
    normed = np.empty_like(x)
    addresses = [library.address(array) for array in (x, None, normed, weight, bias)]
    problem = library.NORMED.pack(*addresses, *[0] * 5, *x.shape, 4, 4, 0, 1.0, float(_NORM_EPSILON))
    library.check(lib.textrnn_layer_norm(problem, threads), refused="the layer norm was refused")
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
    lib = library.load_native().library
    if lib is None:
        if how == "attention":
            assert w is not None
            return _attend(h, offsets, w)
        starts, lengths = offsets[:-1], np.diff(offsets).astype(np.float32)[:, None]
        pools = {"max": np.maximum.reduceat(h, starts), "mean": np.add.reduceat(h, starts) / lengths}
        return np.concatenate([pools[part] for part in how.split("+")], axis=1)
    (N, D), B = h.shape, len(offsets) - 1
    parts = {part: np.empty((B, D), np.float32) for part in how.split("+")}
    place = np.empty((B, D), np.int32) if "max" in parts else None
    if "attention" in parts:
        addresses = [library.address(array) for array in (h, w, offsets)]
        status = lib.textrnn_attend(*addresses, N, B, D, library.address(parts["attention"]), None, threads)
    else:
        addresses = [library.address(array) for array in (parts.get("max"), place, parts.get("mean"))]
        status = lib.textrnn_pool_rows(4, library.address(h), library.address(offsets), N, B, D, *addresses, threads)
    library.check(status, refused=f"offsets should rise by at least 1 from 0 to the {N} rows of h")
    return np.concatenate([*parts.values()], axis=1)


def _attend(h: Array, offsets: Index, w: Array) -> Array:
    scores, starts = (np.tanh(h) @ w)[:, None], offsets[:-1]
    largest = np.maximum.reduceat(scores, starts)
    weights: Array = np.exp(scores - np.repeat(largest, np.diff(offsets), axis=0))
    pooled: Array = np.add.reduceat(weights * h, starts) / np.add.reduceat(weights, starts)
    return pooled
