"""A whole SRU layer, product and recurrence, as one step of autograd.

One step instead of two saves what lies between them: the gradient of the input comes out of the product's own addition
to what the highway brings, and Python is entered once each way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from textrnn.ops.sru import operator, reference
from textrnn.ops.sru.product import multiply
from textrnn.ops.sru.recurrence import check, choose


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
        weight: (input_size, K * G * D), by direction, then by block.
        offsets: (B+1,) int64, where each sequence begins and the last one ends.
        v: (K, 2, D), the weights of the state in the gates.
        b: (K, 2, D), the biases of the gates.
        alpha: the scale of the highway.
        highway: (N, K * D), what the highway carries where G is 3, often ``x`` itself; none where G is 4.
        c0: (B, K, D), the initial states.
        mask: (B, K, D), a dropout mask for the states in the output.
        backend: as for the recurrence.

    Returns:
        ``h`` (N, K * D) in the dtype of the product, and the final states (B, K, D) in float32.

    Raises:
        ValueError: shapes that do not fit together, or offsets that do not rise from 0 to N.
        BackendError: a backend that is not available.
    """
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    name = choose(backend, device=device, dtype=str(dtype).removeprefix("torch."))
    if name == "reference":
        cast, carried = x.to(dtype), None if highway is None else highway.to(dtype)
        u, carried = _split(cast @ weight.to(dtype), v, carried)
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


def _cast(
    dtype: torch.dtype, x: Tensor, weight: Tensor, highway: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    return x.to(dtype), weight.to(dtype), None if highway is None else highway.to(dtype)


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
    u, carried = _split(multiply(x, weight), v, highway)
    check(u, carried, offsets, v=v, b=b, c0=c0, mask=mask)
    h, states, final = operator.forward(u, carried, offsets, v, b, alpha, c0, mask, save, backend)
    return h.flatten(1), states, final, u


class _Layer(torch.autograd.Function):
    """``residual`` says that the highway carries the input itself; ``highway`` is then none.

    What is computed in ``dtype`` is cast here, so that the gradient of ``weight`` is not rounded to it on its way.

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
        ctx.dtypes = x.dtype, weight.dtype, None if highway is None else highway.dtype
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
        x_dtype, weight_dtype, highway_dtype = ctx.dtypes
        N, K, _, D = u.shape
        carried = x if ctx.residual else highway
        overwrite = x.device.type == "cpu" and not torch.compiler.is_compiling()
        if overwrite and ctx.spent:  # a second pass through a graph that was kept
            u = multiply(x, weight).view(u.shape)
        ctx.spent = overwrite
        du, dcarried, dv, db, dc0 = operator.backward(
            None if dh is None else dh.view(N, K, D),
            dfinal,
            u,
            None if carried is None else carried.view(N, K, D),
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
        dx = dweight = None
        if ctx.residual:
            dx = multiply(du, weight.T, add_to=dcarried.view(x.shape)).to(x_dtype)
        elif ctx.needs_input_grad[0]:
            dx = multiply(du, weight.T, dtype=x_dtype)
        if ctx.needs_input_grad[1]:
            dweight = multiply(x.T, du, dtype=weight_dtype)
        dhighway = None if highway is None else dcarried.view(highway.shape).to(highway_dtype)
        return dx, dweight, dhighway, None, None, dv, db, None, dc0 if c0 is not None else None, None, None, None
