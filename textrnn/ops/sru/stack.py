"""All SRU layers of a network as one step of autograd, on the CPU.

Each text goes through all layers by itself, so threads wait for each other only a few times in a step, and what one
layer writes is in the cache when the next one reads it. The definition is one :class:`textrnn.models.sru.SRU` after
the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from textrnn.native import functions, library
from textrnn.ops.dropout import draw_key
from textrnn.ops.matmul import is_direct

_ELEMENTS = {torch.float32: 4, torch.bfloat16: 2}


class StackedLayer(NamedTuple):
    """The parameters of a layer, see :class:`textrnn.models.sru.SRU`; ``gain`` and ``bias`` are those of its norm."""

    weight: Tensor
    v: Tensor
    b: Tensor
    gain: Tensor | None
    bias: Tensor | None


class Stack(NamedTuple):
    """What all layers share: the share ``p`` of dropout, whether a text loses the same columns in all of its rows, the
    scale of the highway, and the epsilon of the norm.
    """

    p: float
    variational: bool
    alpha: float
    epsilon: float


def can_stack(x: Tensor, layers: Sequence[StackedLayer]) -> bool:
    """Return whether :func:`run_stack` can compute: float32 on the CPU, with gradients, and a product that the
    processor has, in bfloat16 under autocast.
    """
    tensors = [x, *(t for layer in layers for t in layer if t is not None)]
    if not torch.is_grad_enabled() or not is_direct(*tensors):
        return False
    return all(t.is_cpu and t.dtype == torch.float32 for t in tensors) and can_train(_find_dtype())


def run_stack(x: Tensor, layers: Sequence[StackedLayer], offsets: Tensor, *, rest: Stack) -> Tensor:
    """Return the outputs (N, K * D) of the top layer for the rows ``x`` (N, D) of sequences with ``offsets`` (B+1,).

    Under autocast the factors of products are rounded to bfloat16; all else is float32.
    """
    keys = tuple(draw_key() if rest.p else 0 for _ in layers)
    result: Tensor = _Stack.apply(
        x, offsets, (rest, keys, _ELEMENTS[_find_dtype()]), *(t for layer in layers for t in layer)
    )
    return result


def _find_dtype() -> torch.dtype:
    """Return the dtype of the factors of products."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


@cache
def can_train(dtype: torch.dtype) -> bool:
    """Return whether the processor has the products of :func:`run_stack` with factors of ``dtype``: those of float32
    take AVX-512, those of bfloat16 AMX.
    """
    native = library.load_native().library
    return native is not None and bool(native.textrnn_can_train(_ELEMENTS.get(dtype, 0)))


class _Pass(NamedTuple):
    """Arguments of both passes: the arrays of each layer, the offsets, and what else the functions take."""

    layers: list[dict[str, Any]]
    offsets: Tensor
    rest: Stack
    element: int

    def run(self, function: library.Function) -> None:
        structs = b"".join(functions.TRAINING_LAYER.pack(**layer) for layer in self.layers)
        function(
            layers=np.frombuffer(structs, np.uint8),
            offsets=self.offsets,
            variational=int(self.rest.variational),
            element=self.element,
            alpha=self.rest.alpha,
            epsilon=self.rest.epsilon,
            threads=torch.get_num_threads(),
        )


def _make_layer(x: Tensor, parameters: StackedLayer, *, rest: Stack, key: int) -> dict[str, Any]:
    """Return the parameters of a layer, and memory for its outputs."""
    (N, width), (K, _, D) = x.shape, parameters.v.shape
    has_norm = parameters.gain is not None
    outputs = {
        "y": torch.empty(N, width) if rest.p else None,
        "n": torch.empty(N, width) if has_norm else None,
        "mean": torch.empty(N) if has_norm else None,
        "rstd": torch.empty(N) if has_norm else None,
        "u": torch.empty(N, parameters.weight.shape[1]),
        "states": torch.empty(N, K * D),
        "h": torch.empty(N, K * D),
    }
    contiguous = {name: None if t is None else t.contiguous() for name, t in parameters._asdict().items()}
    return {"x": x, **contiguous, **outputs, "keep": 1 - rest.p, "key": key}


def _make_gradients(layer: dict[str, Any], dh: Tensor) -> dict[str, Any]:
    """Return memory for the gradients of a layer from that of its output."""
    names = {"weight": "dweight", "v": "dv", "b": "db", "gain": "dgain", "bias": "dbias"}
    gradients = {to: None if layer[name] is None else torch.empty_like(layer[name]) for name, to in names.items()}
    x, h = layer["x"], layer["h"]
    carried = torch.empty_like(h) if x.shape == h.shape else None
    return {**layer, **gradients, "dh": dh, "carried": carried, "dn": torch.empty_like(x), "dx": torch.empty_like(x)}


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, offsets: Tensor, constants: tuple[Stack, tuple[int, ...], int], *parameters: Tensor
    ) -> Tensor:
        rest, keys, element = constants
        size = len(StackedLayer._fields)
        layers: list[dict[str, Any]] = []
        for i, key in enumerate(keys):
            below = layers[-1]["h"] if layers else x.contiguous()
            layers.append(_make_layer(below, StackedLayer(*parameters[i * size : (i + 1) * size]), rest=rest, key=key))
        ctx.arguments, ctx.spent = _Pass(layers, offsets.contiguous(), rest, element), False
        ctx.arguments.run(functions.sru_train_forward)
        ctx.save_for_backward(x, offsets, *parameters)  # autograd notices if one is changed in the meantime
        h: Tensor = layers[-1]["h"]
        return h.view_as(h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors
        if ctx.spent:  # a second pass through a graph that was kept: the first wrote over the products
            ctx.arguments.run(functions.sru_train_forward)
        ctx.spent = True
        layers: list[dict[str, Any]] = []
        dh = dh.float().contiguous()
        for layer in reversed(ctx.arguments.layers):
            layers.insert(0, _make_gradients(layer, dh))
            dh = layers[0]["dx"]
        ctx.arguments._replace(layers=layers).run(functions.sru_train_backward)
        of_parameters = [layer[f"d{name}"] for layer in layers for name in StackedLayer._fields]
        return dh, None, None, *of_parameters
