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
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        residual = highway is x
        x, weight = x.to(dtype), weight.to(dtype)
        highway = x if residual else highway
    if highway is not None and highway is not x:
        highway = highway.to(x.dtype)
    name = choose(backend, device=device, dtype=str(x.dtype).removeprefix("torch."))
    if name == "reference":
        u, carried = _project(x, weight, v, highway)
        check(u, carried, offsets, v=v, b=b, c0=c0, mask=mask)
        h, final = reference.recur(u, carried, offsets, v=v, b=b, alpha=alpha, c0=c0, mask=mask)
        return h.flatten(1), final
    v, b = v.float(), b.float()
    c0, mask = None if c0 is None else c0.float(), None if mask is None else mask.float()
    leaves = (x, weight, highway, v, b, c0)
    if torch.is_grad_enabled() and any(leaf is not None and leaf.requires_grad for leaf in leaves):
        result: tuple[Tensor, Tensor] = _Layer.apply(
            x, weight, None if highway is x else highway, highway is x, offsets, v, b, alpha, c0, mask, name
        )
        return result
    h, _, final, _ = _run(x, weight, highway, offsets, v, b, alpha, c0, mask, name, save=False)
    return h, final


def _project(x: Tensor, weight: Tensor, v: Tensor, highway: Tensor | None) -> tuple[Tensor, Tensor | None]:
    K, _, D = v.shape
    u = (x @ weight).view(x.shape[0], K, weight.shape[1] // (K * D), D)
    return u, None if highway is None else highway.view(x.shape[0], K, D)


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
    u, carried = _project(x, weight, v, highway)
    check(u, carried, offsets, v=v, b=b, c0=c0, mask=mask)
    h, states, final = operator.forward(u, carried, offsets, v, b, alpha, c0, mask, save, backend)
    return h.flatten(1), states, final, u


class _Layer(torch.autograd.Function):
    """``residual`` says that the highway carries the input itself; ``highway`` is then none.

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
        backend: str,
    ) -> tuple[Tensor, Tensor]:
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
        carried = x if ctx.residual else highway
        overwrite = x.device.type == "cpu" and not torch.compiler.is_compiling()
        if overwrite and ctx.spent:  # a second pass through a graph that was kept
            u, _ = _project(x, weight, v, None)
        ctx.spent = overwrite
        du, dcarried, dv, db, dc0 = operator.backward(
            None if dh is None else dh.view(u.shape[0], u.shape[1], u.shape[3]),
            dfinal,
            u,
            None if carried is None else carried.view(u.shape[0], u.shape[1], u.shape[3]),
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
        du = du.view(x.shape[0], weight.shape[1])
        dx = du @ weight.T if ctx.needs_input_grad[0] and not ctx.residual else None
        if ctx.residual:
            dx = dcarried.view(x.shape).addmm_(du, weight.T)
        dweight = x.T @ du if ctx.needs_input_grad[1] else None
        dhighway = None if highway is None else dcarried.view(highway.shape)
        return dx, dweight, dhighway, None, None, dv, db, None, None if c0 is None else dc0, None, None
