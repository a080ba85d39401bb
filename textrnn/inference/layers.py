"""The recurrent layers of :mod:`textrnn.models` for prediction, equal to the torch layers in evaluation mode.

A layer is a projection of each row and a recurrence over the projections. In the first layer, the projection depends on
the piece alone, so :meth:`Layer.forward` accepts a table with the projections of all pieces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.config import ModelConfig
from textrnn.inference import Precision
from textrnn.inference.linear import Linear
from textrnn.inference.pooling import Array, layer_norm, sigmoid
from textrnn.lazy import lazy_property
from textrnn.native import functions, library
from textrnn.ops import rnn_forward
from textrnn.ops.prepacked import PrepackedWeight
from textrnn.ops.time_major import Index, reverse_rows, time_major

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Packing:
    """Non-empty sequences end to end, with ``offsets`` (B+1,) int64.

    ``rows`` (N,) int32, if given, are the rows of the tokens in a table.
    """

    offsets: Index
    rows: Ids | None = None

    @lazy_property
    def orders(self) -> tuple[Index, Index]:
        """Time-major orders of the tokens, (N,) for each direction."""
        return self._timed[1], reverse_rows(self.offsets)[self._timed[1]]

    @lazy_property
    def steps(self) -> list[slice]:
        """The slice of each time step in those orders."""
        ends = np.cumsum(self._timed[2]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    @lazy_property
    def _timed(self) -> tuple[Index, Index, Index]:
        return time_major(self.offsets)

    def look_up(self, x: Array) -> Array:
        """Return the row of ``x`` for each token (N, ...)."""
        return x if self.rows is None else x[self.rows]


class Layer(ABC):
    """A recurrent layer; ``weights`` have the names of the torch module, ``width`` is that of the projections."""

    width: int

    def __init__(self, weights: Mapping[str, Array], config: ModelConfig, *, linear: Linear) -> None:
        self._norm = (weights["norm.weight"], weights["norm.bias"]) if config.layer_norm else None
        self._linear = linear

    def project(self, x: Array, *, threads: int) -> Array:
        """Return the projections (N, directions * blocks * hidden) of rows ``x`` (N, D)."""
        normed = x if self._norm is None else layer_norm(x, *self._norm, threads=threads)
        return self._linear(normed, threads=threads)

    def forward(self, x: Array, packing: Packing, *, projected: Array | None = None, threads: int) -> Array:
        """Return the states (N, directions * hidden) for ``x`` (N, D); ``projected`` saves computing its projections.

        If the packing has rows, ``x`` (V, D) and ``projected`` are tables.
        """
        if projected is None:
            projected = self.project(x, threads=threads)
        return self._recur(projected, x, packing, threads=threads)

    @abstractmethod
    def _recur(self, projected: Array, x: Array, packing: Packing, *, threads: int) -> Array: ...

    @abstractmethod
    def _step(self, u: Array, state: list[Array], k: int) -> list[Array]:
        """Return h and c (n, D) after a time step of direction ``k``, given its projections and the state before."""

    def _recur_numpy(self, u: Array, packing: Packing, *, D: int) -> Array:
        h = np.empty((len(u), u.shape[1], D), np.float32)
        for k, order in zip(range(u.shape[1]), packing.orders, strict=False):
            timed = u[order, k]
            state = [np.zeros((packing.steps[0].stop, D), np.float32) for _ in range(2)]
            for step in packing.steps:  # longest sequences first: those that have ended are at the end
                state = self._step(timed[step], [value[: step.stop - step.start] for value in state], k)
                h[order[step], k] = state[0]
        return h.reshape(len(u), -1)


class SRU(Layer):
    """SRU; :mod:`textrnn.ops.sru.reference` defines the recurrence."""

    def __init__(self, weights: Mapping[str, Array], config: ModelConfig, precision: Precision) -> None:
        super().__init__(weights, config, linear=Linear(weights["weight"], precision))
        self._v, self._b = weights["v"], weights["b"]
        self.width = int(weights["weight"].shape[1])
        self.alpha = np.float32(np.sqrt(1 + 2 * np.exp(config.highway_bias)))

    @property
    def is_prepacked(self) -> bool:
        """True if the weight is a prepacked one."""
        return isinstance(self._linear.weight, PrepackedWeight)

    def pack(self) -> bytes:
        """Return the struct of a prepacked layer for ``sru_network``, which points to memory of this layer."""
        weight = self._linear.weight
        assert isinstance(weight, PrepackedWeight)
        gain, bias = self._norm or (None, None)
        panels = {"panels": weight.panels, "first": weight.first, "scales": weight.scales}
        sizes = dict(zip(("inputs", "width"), weight.shape, strict=True))
        return functions.NETWORK_LAYER.pack(gain=gain, bias=bias, **panels, v=self._v, b=self._b, **sizes)

    def _recur(self, projected: Array, x: Array, packing: Packing, *, threads: int) -> Array:
        K, _, D = self._v.shape
        N, B = int(packing.offsets[-1]), len(packing.offsets) - 1
        u = projected.reshape(len(projected), K, -1, D)
        if not library.is_available():
            u, x = packing.look_up(u), packing.look_up(x)
            if u.shape[2] == 3:
                u = np.concatenate([u, self.alpha * x.reshape(N, K, 1, D)], axis=2)
            return self._recur_numpy(u, packing, D=D)
        h = np.empty((N, K, D), np.float32)
        functions.sru_forward(
            u=u,
            x=x.reshape(-1, K, D) if u.shape[2] == 3 else None,
            offsets=packing.offsets,
            rows=packing.rows,
            v=self._v,
            b=self._b,
            alpha=float(self.alpha),
            h=h,
            final=np.empty((B, K, D), np.float32),
            threads=threads,
        )
        return h.reshape(N, K * D)

    def _step(self, u: Array, state: list[Array], k: int) -> list[Array]:
        f = sigmoid(u[:, 1] + self._b[k, 0] + self._v[k, 0] * state[1])
        r = sigmoid(u[:, 2] + self._v[k, 1] * state[1] + self._b[k, 1])
        c = f * state[1] + (1 - f) * u[:, 0]
        return [r * c + (1 - r) * u[:, 3], c]


class RNN(Layer):
    """GRU and LSTM with the equations and gate order of torch; one product projects for both directions."""

    def __init__(self, weights: Mapping[str, Array], config: ModelConfig, precision: Precision) -> None:
        ends = ("l0", "l0_reverse")[: 2 if config.bidirectional else 1]
        parts = {
            name: [weights[f"rnn.{name}_{end}"] for end in ends]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        weight_ih = np.concatenate(parts["weight_ih"]).T
        super().__init__(weights, config, linear=Linear(weight_ih, precision))
        self._cell = config.cell
        self.width = weight_ih.shape[1]
        self._bias_ih = np.concatenate(parts["bias_ih"])
        self._weight_hh, self._bias_hh = np.stack(parts["weight_hh"]), np.stack(parts["bias_hh"])

    def project(self, x: Array, *, threads: int) -> Array:
        """Return the input part of the gates, with bias."""
        gates = super().project(x, threads=threads)
        gates += self._bias_ih
        return gates

    def _recur(self, projected: Array, x: Array, packing: Packing, *, threads: int) -> Array:
        del x
        K, width, D = self._weight_hh.shape
        gates = projected.reshape(-1, K, width)
        if library.is_available():
            weights = {"weight_hh": self._weight_hh, "bias_hh": self._bias_hh}
            return rnn_forward.run(self._cell, gates, packing.offsets, rows=packing.rows, **weights, threads=threads)
        return self._recur_numpy(packing.look_up(gates), packing, D=D)

    def _step(self, u: Array, state: list[Array], k: int) -> list[Array]:
        inner, D = state[0] @ self._weight_hh[k].T + self._bias_hh[k], state[0].shape[1]
        if self._cell == "gru":
            rz = sigmoid(u[:, : 2 * D] + inner[:, : 2 * D])
            n = np.tanh(u[:, 2 * D :] + rz[:, :D] * inner[:, 2 * D :])
            return [n + rz[:, D:] * (state[0] - n), state[1]]
        i, f, g, o = np.split(u + inner, [D, 2 * D, 3 * D], axis=1)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]


def make_layer(weights: Mapping[str, Array], config: ModelConfig, precision: Precision) -> Layer:
    """Return a layer with the cell of ``config`` that projects in ``precision``."""
    return SRU(weights, config, precision) if config.cell == "sru" else RNN(weights, config, precision)
