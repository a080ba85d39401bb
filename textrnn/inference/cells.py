"""The layers of :mod:`textrnn.layers` in numpy, for prediction; each gives what its torch twin gives in evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.config import ModelConfig
from textrnn.ops import rnn
from textrnn.ops.packing import Index, reverse_rows, time_major
from textrnn.ops.sru import cpu

Array = npt.NDArray[np.float32]

_NORM_EPSILON = np.float32(1e-5)  # torch.nn.LayerNorm's own


@dataclass(frozen=True)
class Packing:
    """The rows of a packed batch in the order of time; ``rows[k]`` (N,) is that of direction ``k``."""

    offsets: Index
    rows: tuple[Index, Index]
    starts: Index
    sizes: list[int]

    @classmethod
    def of(cls, offsets: Index) -> Packing:
        """Return the packing of sequences with ``offsets`` (B+1,), none empty."""
        _, order, sizes = time_major(offsets)
        return cls(offsets, (order, reverse_rows(offsets)[order]), np.cumsum(sizes) - sizes, sizes.tolist())

    def steps(self) -> Iterator[slice]:
        """Yield the rows of each step, in the order of time."""
        for start, size in zip(self.starts.tolist(), self.sizes, strict=True):
            yield slice(start, start + size)


def sigmoid(x: Array) -> Array:
    """Return the logistic function of ``x``, by tanh: it overflows nowhere."""
    half: Array = np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)
    return half


def multiply(a: Array, b: Array, *, threads: int) -> Array:
    """Return ``a @ b``, by the C++ library where it can: numpy's may be compiled for an older processor."""
    if not cpu.takes(a.dtype):
        return a @ b
    c = np.empty((len(a), b.shape[1]), np.float32)
    cpu.multiply(a, b, c, threads=threads)
    return c


def run_layer(x: Array, packing: Packing, weights: Mapping[str, Array], *, config: ModelConfig, threads: int) -> Array:
    """Map ``x`` (N, width) to (N, directions * hidden) with the weights of one layer, named as in its module."""
    normed = normalize(x, weights["norm.weight"], weights["norm.bias"]) if config.layer_norm else x
    if config.cell == "sru":
        u = multiply(normed, weights["weight"], threads=threads)
        return _run_sru(x, u, packing, weights=weights, highway_bias=config.highway_bias, threads=threads)
    ends = ("l0", "l0_reverse")[: 2 if config.bidirectional else 1]
    if rnn.is_there():
        return _run_native(normed, packing.offsets, weights, cell=config.cell, ends=ends, threads=threads)
    step = {"gru": _step_gru, "lstm": _step_lstm}[config.cell]
    outputs = []
    for rows, end in zip(packing.rows, ends, strict=False):
        part = {name: weights[f"rnn.{name}_{end}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        outputs.append(_run_rnn(normed, packing, part, rows=rows, step=step, threads=threads))
    return np.concatenate(outputs, axis=1)


def normalize(x: Array, weight: Array, bias: Array) -> Array:
    """Return the layer norm of each row of ``x`` (Ba, Kiros, Hinton 2016)."""
    centred = x - x.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + _NORM_EPSILON)
    normed: Array = centred / scale * weight + bias
    return normed


def _run_sru(
    x: Array, u: Array, packing: Packing, *, weights: Mapping[str, Array], highway_bias: float, threads: int
) -> Array:
    v, b = weights["v"], weights["b"]
    K, _, D = v.shape
    N = len(x)
    u = u.reshape(N, K, -1, D)
    alpha = np.float32(np.sqrt(1 + 2 * np.exp(highway_bias)))
    h = np.empty((N, K, D), np.float32)
    if cpu.load_native().library is not None:
        B, G = len(packing.offsets) - 1, u.shape[2]
        cpu.run(
            "forward",
            sizes=(N, B, K, G, D),
            alpha=float(alpha),
            threads=threads,
            **{"offsets": packing.offsets, "u": u, "x": x if G == 3 else None, "v": v, "b": b},
            **{"h": h, "final": np.empty((B, K, D), np.float32)},
        )
        return h.reshape(N, K * D)
    for k in range(K):
        rows = packing.rows[k]
        ut = u[rows, k]
        c = np.zeros((packing.sizes[0], D), np.float32)
        states, previous = np.empty((N, D), np.float32), np.empty((N, D), np.float32)
        forget = ut[:, 1] + b[k, 0]
        for step in packing.steps():
            c = c[: step.stop - step.start]
            previous[step] = c
            f = sigmoid(forget[step] + v[k, 0] * c)
            c = f * c + (1 - f) * ut[step, 0]
            states[step] = c
        r = sigmoid(ut[:, 2] + v[k, 1] * previous + b[k, 1])
        highway = ut[:, 3] if ut.shape[1] == 4 else alpha * x.reshape(N, K, D)[rows, k]
        h[rows, k] = r * states + (1 - r) * highway
    return h.reshape(N, K * D)


def _run_native(
    x: Array, offsets: Index, weights: Mapping[str, Array], *, cell: str, ends: tuple[str, ...], threads: int
) -> Array:
    weight_ih, bias_ih, weight_hh, bias_hh = (
        np.stack([weights[f"rnn.{name}_{end}"] for end in ends])
        for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
    )
    gates = multiply(x, weight_ih.reshape(bias_ih.size, -1).T, threads=threads)
    gates += bias_ih.reshape(-1)
    gates = gates.reshape(len(x), *bias_ih.shape)
    return rnn.run(cell, gates, offsets, weight_hh=weight_hh, bias_hh=bias_hh, threads=threads)


def _run_rnn(
    x: Array,
    packing: Packing,
    weights: Mapping[str, Array],
    *,
    rows: Index,
    step: Callable[[Array, Array, list[Array]], list[Array]],
    threads: int,
) -> Array:
    gates = (multiply(x, weights["weight_ih"].T, threads=threads) + weights["bias_ih"])[rows]
    recurrent = np.ascontiguousarray(weights["weight_hh"].T)
    D = len(recurrent)
    state = [np.zeros((packing.sizes[0], D), np.float32) for _ in range(2)]
    h = np.empty((len(x), D), np.float32)
    for part in packing.steps():
        state = [value[: part.stop - part.start] for value in state]
        state = step(gates[part], state[0] @ recurrent + weights["bias_hh"], state)
        h[rows[part]] = state[0]
    return h


def _step_gru(outer: Array, inner: Array, state: list[Array]) -> list[Array]:
    D = state[0].shape[1]
    rz = sigmoid(outer[:, : 2 * D] + inner[:, : 2 * D])
    n = np.tanh(outer[:, 2 * D :] + rz[:, :D] * inner[:, 2 * D :])
    return [n + rz[:, D:] * (state[0] - n), state[1]]


def _step_lstm(outer: Array, inner: Array, state: list[Array]) -> list[Array]:
    D = state[0].shape[1]
    i, f, g, o = np.split(outer + inner, [D, 2 * D, 3 * D], axis=1)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def pool(h: Array, offsets: Index, how: str, *, w: Array | None, bidirectional: bool) -> Array:
    """Map ``h`` (N, width) to one row a sequence, as :class:`textrnn.layers.pooling.SequencePool` does."""
    if how == "last":
        half = h.shape[1] // 2 if bidirectional else h.shape[1]
        return np.concatenate([h[offsets[1:] - 1, :half], h[offsets[:-1], half:]], axis=1)
    lengths = np.diff(offsets)
    if how == "attention":
        assert w is not None
        scores = (np.tanh(h) @ w)[:, None]
        top = np.maximum.reduceat(scores, offsets[:-1])
        share: Array = np.exp(scores - np.repeat(top, lengths, axis=0))
        return _add_up(share * h, offsets) / _add_up(share, offsets)
    parts: list[Array] = []
    for part in how.split("+"):
        if part == "max":
            parts.append(np.maximum.reduceat(h, offsets[:-1]))
        else:
            parts.append(_add_up(h, offsets) / lengths.astype(np.float32)[:, None])
    return np.concatenate(parts, axis=1)


def _add_up(x: Array, offsets: Index) -> Array:
    sums: Array = np.add.reduceat(x, offsets[:-1])
    return sums
