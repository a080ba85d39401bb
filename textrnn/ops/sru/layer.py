"""A whole SRU layer, product and recurrence, as one step of autograd.

One step instead of two saves what lies between them: the gradient of the input comes out of the product's own addition
to what the highway brings, and Python is entered once each way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from textrnn.ops.matmul import is_direct, multiply
from textrnn.ops.sru import op, reference
from textrnn.ops.sru.recurrence import check, choose, refuse_tangents


def sru_layer(
    x: Tensor,
    weight: Tensor,
    offsets: Tensor,
    *,
    v: Tensor,
    b: Tensor,
    alpha: float = 1.0,
    highway: Tensor | None = None,
    c0: Tensor | None = None,
    mask: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Compute ``u = x @ weight`` and run :func:`textrnn.ops.sru.recurrence.sru_recurrence` on it.

    Under autocast both are in autocast's dtype, the states in float32.

    Args:
        x: (N, input_size), the rows of all sequences one after another.
        weight: (input_size, K * G * D), by direction, then by block; G is 3 or 4.
        offsets: (B+1,) int64, where each sequence begins and the last one ends.
        v: (K, 2, D), the weights of the state in the gates.
        b: (K, 2, D), the biases of the gates.
        alpha: the scale of the highway.
        highway: (N, K * D), what the highway carries where G is 3, often ``x`` itself; none where G is 4.
        c0: (B, K, D), the initial states.
        mask: (B, K, D), a dropout mask for the states in the output; it gets no gradient.
        backend: as for the recurrence.

    Returns:
        ``h`` (N, K * D) in the dtype of the product, and the final states (B, K, D) in float32.

    Raises:
        ValueError: shapes, dtypes or devices that do not fit together, or offsets that do not rise from 0 to N.
        BackendError: a backend that is not available.
        NotImplementedError: forward-mode derivatives.
    """
    dtype = _choose_dtype(x, weight, highway)
    _check_shapes(x, weight, v, highway)
    refuse_tangents(x, weight, highway, v, b, c0)
    name = choose(backend, device=x.device.type, dtype=str(dtype).removeprefix("torch."))
    if name == "reference":
        cast, wide, carried = _cast(dtype, x, weight, highway)
        u, carried = _split(cast @ wide, v, carried)
        check(u, carried, offsets, v=v, b=b, c0=c0, mask=mask)
        h, final = reference.recur(u, carried, offsets, v=v, b=b, alpha=alpha, c0=c0, mask=mask)
        return h.flatten(1), final
    v, b = v.float(), b.float()
    c0, mask = None if c0 is None else c0.float(), None if mask is None else mask.float()
    residual, highway = highway is x, None if highway is x else highway
    leaves = (x, weight, highway, v, b, c0)
    if torch.is_grad_enabled() and any(leaf is not None and leaf.requires_grad for leaf in leaves):
        result: tuple[Tensor, Tensor] = _Layer.apply(
            x, weight, highway, residual, offsets, v, b, alpha, c0, mask, dtype, name
        )
        return result
    cast, weight, highway = _cast(dtype, x, weight, highway)
    carried = cast if residual else highway
    h, _, final, _ = _run(cast, weight, carried, offsets, v, b, alpha, c0, mask, name, save=False)
    return h, final


def _choose_dtype(x: Tensor, weight: Tensor, highway: Tensor | None) -> torch.dtype:
    """Return the dtype that the product is computed in: autocast's, which leaves float64 alone, or that of all."""
    device = x.device.type
    if not x.is_floating_point():
        raise ValueError(f"x should hold floating-point numbers, not {x.dtype}")
    if torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    for name, tensor in (("weight", weight), ("highway", highway)):
        if tensor is not None and tensor.dtype != x.dtype:
            raise ValueError(f"{name} should be {x.dtype}, as x is, not {tensor.dtype}")
    return x.dtype


def _check_shapes(x: Tensor, weight: Tensor, v: Tensor, highway: Tensor | None) -> None:
    """Raise ValueError where the product or its parts cannot be; the recurrence checks the rest."""
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
        raise ValueError("highway is needed where weight has 3 blocks, and only there")


def _cast(
    dtype: torch.dtype, x: Tensor, weight: Tensor, highway: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    cast = x.to(dtype)
    return cast, weight.to(dtype), cast if highway is x else None if highway is None else highway.to(dtype)


def _split(u: Tensor, v: Tensor, highway: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the product and what the highway carries by direction."""
    (N, width), (K, _, D) = u.shape, v.shape
    return u.view(N, K, width // (K * D), D), None if highway is None else highway.view(N, K, D)


def _run(
    x: Tensor,
    weight: Tensor,
    highway: Tensor | None,
    offsets: Tensor,
    v: Tensor,
    b: Tensor,
    alpha: float,
    c0: Tensor | None,
    mask: Tensor | None,
    backend: str,
    *,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    u, carried = _split(multiply(x, weight), v, None if highway is None else highway.contiguous())
    check(u, carried, offsets, v=v, b=b, c0=c0, mask=mask)
    h, states, final = op.forward(u, carried, offsets, v, b, alpha, c0, mask, save, backend)
    # no view of another tensor, as far as autograd goes: such an output could not be changed in place
    return torch.ops.aten._unsafe_view(h, (h.shape[0], h.shape[1] * h.shape[2])), states, final, u


class _Layer(torch.autograd.Function):
    """``residual`` says that the highway carries the input itself; ``highway`` is then none.

    What is computed in ``dtype`` is cast here, so that where the library multiplies, the gradients of float32 inputs
    and weights are not rounded to it on their way.

    On the CPU the backward pass writes the gradient of ``u`` over ``u``, which nobody else has: a third less memory to
    go through, and none to ask the system for.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        highway: Tensor | None,
        residual: bool,
        offsets: Tensor,
        v: Tensor,
        b: Tensor,
        alpha: float,
        c0: Tensor | None,
        mask: Tensor | None,
        dtype: torch.dtype,
        backend: str,
    ) -> tuple[Tensor, Tensor]:
        ctx.dtypes = x.dtype, weight.dtype
        x, weight, highway = _cast(dtype, x, weight, highway)
        carried = x if residual else highway
        h, states, final, u = _run(x, weight, carried, offsets, v, b, alpha, c0, mask, backend, save=True)
        ctx.residual, ctx.alpha, ctx.backend, ctx.spent = residual, alpha, backend, False
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight, highway, offsets, v, b, c0, mask, u, states)
        return h, final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor | None, dfinal: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight, highway, offsets, v, b, c0, mask, u, states = ctx.saved_tensors
        x_dtype, weight_dtype = ctx.dtypes
        (N, K, _, D), wanted = u.shape, ctx.needs_input_grad
        carried = x if ctx.residual else highway
        if ctx.spent:  # a second pass through a graph that was kept
            u = multiply(x, weight).view(u.shape)
        overwrite = x.is_cpu and is_direct(u)
        ctx.spent = ctx.spent or overwrite
        du, dcarried, dv, db, dc0 = op.backward(
            None if dh is None else dh.reshape(N, K, D),
            dfinal,
            u,
            None if carried is None else carried.reshape(N, K, D),
            offsets,
            v,
            b,
            ctx.alpha,
            c0,
            mask,
            states,
            ctx.backend,
            du=u if overwrite else None,
        )
        du = du.view(N, weight.shape[1])
        dx = None
        if wanted[0] and ctx.residual:
            dx = multiply(du, weight.T, add_to=dcarried.view(x.shape))
        elif wanted[0]:
            dx = multiply(du, weight.T, dtype=x_dtype)
        dweight = multiply(x.T, du, dtype=weight_dtype) if wanted[1] else None
        dhighway = None if highway is None else dcarried.view(highway.shape)
        return dx, dweight, dhighway, None, None, dv, db, None, None if c0 is None else dc0, None, None, None
