"""The cpu backend: the recurrence in C++, in float32 and bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor

from textrnn.native import sru_library
from textrnn.ops.sru.inputs import SruInputs


def forward(inputs: SruInputs, *, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``h`` (N, K, D), the state after each step if ``save``, and the final states (B, K, D).

    The states (N, K, D), or (0, K, D) without ``save``, are float32, and so are the final ones.
    """
    u = inputs.u
    N, K, _, D = u.shape
    h = torch.empty(N, K, D, dtype=u.dtype)
    states, final = torch.empty(N if save else 0, K, D), torch.empty(len(inputs.layout), K, D)
    sru_library.sru_forward(
        u,
        inputs.x,
        inputs.layout.offsets,
        v=inputs.v,
        b=inputs.b,
        c0=inputs.c0,
        alpha=inputs.alpha,
        h=h,
        states=states if save else None,
        final=final,
        threads=torch.get_num_threads(),
    )
    return h, states, final


def backward(
    inputs: SruInputs, states: Tensor, dh: Tensor, *, du: Tensor | None = None
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """Return the gradients of u, x, v and b from the ``states`` that :func:`forward` saved.

    The gradient of u is written to ``du`` if it is given, which may be u itself.
    """
    u, x = inputs.u, inputs.x
    du, dx = torch.empty_like(u) if du is None else du, None if x is None else torch.empty_like(x)
    dv, db = torch.empty_like(inputs.v), torch.empty_like(inputs.b)
    sru_library.sru_backward(
        u,
        x,
        inputs.layout.offsets,
        v=inputs.v,
        b=inputs.b,
        c0=inputs.c0,
        alpha=inputs.alpha,
        states=states,
        dh=dh,
        du=du,
        dx=dx,
        dv=dv,
        db=db,
        threads=torch.get_num_threads(),
    )
    return du, dx, dv, db
