"""The cpu backend: the recurrence in C++, in float32 and bfloat16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from textrnn.native import functions
from textrnn.ops.sru.inputs import SruInputs


def forward(inputs: SruInputs, *, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``h`` (N, K, D), the state after each step if ``save``, and the final states (B, K, D).

    The states (N, K, D), or (0, K, D) without ``save``, are float32, and so are the final ones.
    """
    u = inputs.u
    N, K, _, D = u.shape
    h = torch.empty(N, K, D, dtype=u.dtype)
    states, final = torch.empty(N if save else 0, K, D), torch.empty(len(inputs.layout), K, D)
    outputs = {"h": h, "states": states if save else None, "final": final}
    functions.sru_forward(**_arrays(inputs), **outputs, threads=torch.get_num_threads())
    return h, states, final


def backward(
    inputs: SruInputs, states: Tensor, dh: Tensor, *, du: Tensor | None = None
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """Return the gradients of u, x, v and b from the ``states`` that :func:`forward` saved.

    The gradient of u is written to ``du`` if it is given, which may be u itself.
    """
    du = torch.empty_like(inputs.u) if du is None else du
    dx = None if inputs.x is None else torch.empty_like(inputs.x)
    dv, db = torch.empty_like(inputs.v), torch.empty_like(inputs.b)
    gradients = {"dh": dh, "du": du, "dx": dx, "dv": dv, "db": db}
    functions.sru_backward(**_arrays(inputs), states=states, **gradients, threads=torch.get_num_threads())
    return du, dx, dv, db


def _arrays(inputs: SruInputs) -> dict[str, Any]:
    fields = {name: value for name, value in vars(inputs).items() if name != "layout"}
    return fields | {"offsets": inputs.layout.offsets}
