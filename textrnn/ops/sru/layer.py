"""A whole SRU layer, product and recurrence, as one step of autograd.

Compared with two steps, the product that gives the gradient of the input adds it to that of the highway in place, and
Python is entered once each way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.matmul import is_direct, multiply
from textrnn.ops.sru import op, reference
from textrnn.ops.sru.backends import choose_backend
from textrnn.ops.sru.inputs import SruInputs, check, refuse_forward_mode


def sru_layer(
    x: Tensor,
    weight: Tensor,
    layout: BatchLayout,
    *,
    v: Tensor,
    b: Tensor,
    alpha: float = 1.0,
    highway: Tensor | None = None,
    c0: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Compute ``u = x @ weight`` and run :func:`textrnn.ops.sru.recurrence.sru_recurrence` on it.

    Under autocast both are in autocast's dtype, the states in float32.

    Args, besides those of the recurrence:
        x: (N, input_size), the rows of all sequences.
        weight: (input_size, K * G * D), by direction, then by block; G is 3 or 4.
        highway: (N, K * D), the input of the highway if G is 3, often ``x`` itself; None if G is 4.

    Returns:
        ``h`` (N, K * D) in the dtype of the product, and the final states (B, K, D) in float32, without gradients. The
        errors are those of the recurrence.
    """
    dtype = _choose_dtype(x, weight, highway)
    _check_shapes(x, weight, v=v, highway=highway)
    refuse_forward_mode(x, weight, highway, v, b)
    name = choose_backend(backend, device=x.device.type, dtype=str(dtype).removeprefix("torch."))
    rest = _Rest(layout, alpha, c0, dtype, name)
    highway = None if highway is x else highway
    if name == "reference":
        cast = _cast(dtype, x, weight, highway)
        h, final = reference.recur(_project(cast, v=v, b=b, rest=rest, product=torch.matmul))
        return h.flatten(1), final
    v, b = v.float(), b.float()
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, highway, v, b)):
        result: tuple[Tensor, Tensor] = _Layer.apply(x, weight, highway, v, b, rest)
        return result
    inputs = _project(_cast(dtype, x, weight, highway), v=v, b=b, rest=rest, product=multiply)
    h, _, final = op.forward(inputs, save=False, backend=name)
    return h.flatten(1), final


class _Rest(NamedTuple):
    """The arguments of a layer that get no gradient."""

    layout: BatchLayout
    alpha: float
    c0: Tensor | None
    dtype: torch.dtype
    backend: str


def _choose_dtype(x: Tensor, weight: Tensor, highway: Tensor | None) -> torch.dtype:
    """Return the dtype of the product: autocast's, which leaves float64 alone, or the one dtype of all factors."""
    device = x.device.type
    if not x.is_floating_point():
        raise ValueError(f"x should hold floating-point numbers, not {x.dtype}")
    if torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    for name, tensor in (("weight", weight), ("highway", highway)):
        if tensor is not None and tensor.dtype != x.dtype:
            raise ValueError(f"{name} should be {x.dtype}, as x is, not {tensor.dtype}")
    return x.dtype


def _check_shapes(x: Tensor, weight: Tensor, *, v: Tensor, highway: Tensor | None) -> None:
    """Raise ValueError if the product cannot be computed or split; the recurrence checks the rest."""
    if x.dim() != 2 or weight.dim() != 2 or v.dim() != 3:
        raise ValueError("x should be (N, input_size), weight (input_size, K * G * D), v (K, 2, D)")
    (N, width), (K, _, D) = x.shape, v.shape
    if weight.shape[0] != width or weight.shape[1] not in (3 * K * D, 4 * K * D):
        raise ValueError(f"weight should be ({width}, {3 * K * D} or {4 * K * D}), not {tuple(weight.shape)}")
    if weight.device != x.device:
        raise ValueError(f"weight should be on {x.device}, not on {weight.device}")
    if highway is not None and highway.shape != (N, K * D):
        raise ValueError(f"highway should be {(N, K * D)}, not {tuple(highway.shape)}")
    if (highway is None) != (weight.shape[1] == 4 * K * D):
        raise ValueError("highway is needed if weight has 3 blocks, and only then")


def _cast(dtype: torch.dtype, *tensors: Tensor | None) -> list[Any]:
    return [None if tensor is None else tensor.to(dtype) for tensor in tensors]


def _project(
    factors: list[Any], *, v: Tensor, b: Tensor, rest: _Rest, product: Callable[[Tensor, Tensor], Tensor]
) -> SruInputs:
    """Return the checked inputs of the recurrence for the ``factors`` x, weight and highway."""
    x, weight, highway = factors
    inputs = _split(product(x, weight), x if highway is None else highway, v=v, b=b, rest=rest)
    check(inputs)
    return inputs


def _split(u: Tensor, carried: Tensor, *, v: Tensor, b: Tensor, rest: _Rest) -> SruInputs:
    """Return the inputs of the recurrence for the product ``u`` (N, K * G * D) and a highway of ``carried``, if any."""
    (N, width), (K, _, D) = u.shape, v.shape
    G = width // (K * D)
    x = carried.reshape(N, K, D) if G == 3 else None
    return SruInputs(u.view(N, K, G, D), x, rest.layout, v, b, rest.alpha, rest.c0)


class _Layer(torch.autograd.Function):
    """The layer as autograd sees it; with 3 blocks and no ``highway``, the highway carries the input itself.

    It casts to the dtype of the product itself, so that the library's products do not round the gradients of float32
    inputs and weights. On the CPU the backward pass writes the gradient of ``u`` over ``u``, which nobody else has: a
    third less memory to read and write, and none to allocate.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, highway: Tensor | None, v: Tensor, b: Tensor, rest: _Rest
    ) -> tuple[Tensor, Tensor]:
        ctx.dtypes, ctx.rest, ctx.spent = (x.dtype, weight.dtype), rest, False
        factors = _cast(rest.dtype, x, weight, highway)
        inputs = _project(factors, v=v, b=b, rest=rest, product=multiply)
        h, states, final = op.forward(inputs, save=True, backend=rest.backend)
        ctx.mark_non_differentiable(final)
        ctx.set_materialize_grads(False)  # no zeros for the final states
        ctx.save_for_backward(*factors, v, b, inputs.u, states)
        # no view of another tensor, as far as autograd goes: such an output could not be changed in place
        return torch.ops.aten._unsafe_view(h, (h.shape[0], h.shape[1] * h.shape[2])), final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor, _: None) -> tuple[Tensor | None, ...]:
        x, weight, highway, v, b, u, states = ctx.saved_tensors
        (x_dtype, weight_dtype), rest = ctx.dtypes, ctx.rest
        if ctx.spent:  # a second pass through a graph that was kept
            u = multiply(x, weight).view(u.shape)
        overwrite = x.is_cpu and is_direct(u)
        ctx.spent = ctx.spent or overwrite
        inputs = _split(u.view(len(x), weight.shape[1]), x if highway is None else highway, v=v, b=b, rest=rest)
        gradients = op.backward(inputs, states, dh.reshape(states.shape), backend=rest.backend, overwrite=overwrite)
        du, dcarried, dv, db = gradients
        du = du.view(len(x), weight.shape[1])
        dx = dweight = dhighway = None
        if ctx.needs_input_grad[0] and highway is None and dcarried is not None:
            dx = multiply(du, weight.T, add_to=dcarried.view(x.shape))
        elif ctx.needs_input_grad[0]:
            dx = multiply(du, weight.T, dtype=x_dtype)
        if ctx.needs_input_grad[1]:
            dweight = multiply(x.T, du, dtype=weight_dtype)
        if highway is not None and dcarried is not None:
            dhighway = dcarried.view(highway.shape)
        return dx, dweight, dhighway, dv, db, None
