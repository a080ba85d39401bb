"""What stands between the recurrent layers in prediction: layer norm of rows, and pooling over those of a sequence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textrnn.native import library, nn_library
from textrnn.ops.time_major import Index

Array = npt.NDArray[np.float32]

_NORM_EPSILON = np.float32(1e-5)  # torch.nn.LayerNorm's own


def sigmoid(x: Array) -> Array:
    """Return the logistic function of ``x``, by tanh: it overflows nowhere."""
    half: Array = np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)
    return half


def normalize(x: Array, weight: Array, bias: Array, *, threads: int) -> Array:
    """Return the layer norm of each row of ``x`` (N, D), C-contiguous (Ba, Kiros, Hinton 2016).

    Raises:
        MemoryError: the C++ library wants more memory than there is.
    """
    normed = np.empty_like(x)
    if not library.is_available():
        centred = x - x.mean(axis=1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + _NORM_EPSILON)
        normed[...] = centred / scale * weight + bias
    else:
        nn_library.layer_norm(x, normed, gain=weight, bias=bias, epsilon=float(_NORM_EPSILON), threads=threads)
    return normed


def pool(h: Array, offsets: Index, how: str, *, w: Array | None, bidirectional: bool, threads: int) -> Array:
    """Map ``h`` (N, width) to one row a sequence, as :class:`textrnn.models.pooling.SequencePool` does.

    Raises:
        MemoryError: the C++ library wants more memory than there is.
        ValueError: it refuses ``offsets``, which do not rise by 1 at least from 0 to N.
    """
    if how == "last":
        half = h.shape[1] // 2 if bidirectional else h.shape[1]
        return np.concatenate([h[offsets[1:] - 1, :half], h[offsets[:-1], half:]], axis=1)
    if not library.is_available():
        if how == "attention":
            assert w is not None
            return _attend(h, offsets, w)
        pools = {"max": _find_largest, "mean": _find_mean}
        return np.concatenate([pools[part](h, offsets) for part in how.split("+")], axis=1)
    shape = (len(offsets) - 1, h.shape[1])
    parts = {part: np.empty(shape, np.float32) for part in how.split("+")}
    if "attention" in parts:
        nn_library.attend(h, w, offsets, pooled=parts["attention"], threads=threads)
    else:
        place = np.empty(shape, np.int32) if "max" in parts else None
        nn_library.pool_rows(h, offsets, largest=parts.get("max"), place=place, mean=parts.get("mean"), threads=threads)
    return np.concatenate([*parts.values()], axis=1)


def _attend(h: Array, offsets: Index, w: Array) -> Array:
    scores = (np.tanh(h) @ w)[:, None]
    top = np.maximum.reduceat(scores, offsets[:-1])
    share: Array = np.exp(scores - np.repeat(top, np.diff(offsets), axis=0))
    pooled: Array = _add_up(share * h, offsets) / _add_up(share, offsets)
    return pooled


def _find_largest(h: Array, offsets: Index) -> Array:
    largest: Array = np.maximum.reduceat(h, offsets[:-1])
    return largest


def _find_mean(h: Array, offsets: Index) -> Array:
    means: Array = _add_up(h, offsets) / np.diff(offsets).astype(np.float32)[:, None]
    return means


def _add_up(x: Array, offsets: Index) -> Array:
    sums: Array = np.add.reduceat(x, offsets[:-1])
    return sums
