"""The recurrence as an operator of torch: what autograd, torch.compile and export see.

``textrnn::sru_forward`` and ``textrnn::sru_backward`` run the named backend, cpu or cuda, on the tensors of its device.
The reference backend needs no operator: it is plain torch.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from textrnn.ops.matmul import is_direct
from textrnn.ops.sru import cpu
from textrnn.ops.sru.inputs import SruInputs

_LIBRARY = torch.library.Library("textrnn", "DEF")
# the fields of SruInputs, as its method pack() returns them
_INPUTS = "Tensor u, Tensor? x, Tensor offsets, Tensor? order, Tensor v, Tensor b, float alpha, Tensor? c0"
_LIBRARY.define(f"sru_forward({_INPUTS}, bool save, str backend) -> (Tensor, Tensor, Tensor)")
_LIBRARY.define(f"sru_backward({_INPUTS}, Tensor states, Tensor dh, str backend) -> (Tensor, Tensor, Tensor, Tensor)")


def recur(inputs: SruInputs, *, backend: str) -> tuple[Tensor, Tensor]:
    """Compute :func:`textrnn.ops.sru.recurrence.sru_recurrence` with the backend cpu or cuda."""
    save = torch.is_grad_enabled() and any(leaf is not None and leaf.requires_grad for leaf in inputs.leaves)
    x = None if inputs.x is None else inputs.x.to(inputs.u.dtype)
    cast = SruInputs(inputs.u, x, inputs.layout, inputs.v.float(), inputs.b.float(), inputs.alpha, inputs.c0)
    h, _, final = torch.ops.textrnn.sru_forward(*cast.pack(), save, backend)
    return h, final.detach()


def forward(inputs: SruInputs, *, save: bool, backend: str) -> tuple[Tensor, Tensor, Tensor]:
    """Run ``sru_forward``; directly if torch need not see it, which saves the time of its dispatcher."""
    if is_direct(inputs.u):
        return _forward(*inputs.pack(), save, backend)
    result: tuple[Tensor, Tensor, Tensor] = torch.ops.textrnn.sru_forward(*inputs.pack(), save, backend)
    return result


def backward(
    inputs: SruInputs, states: Tensor, dh: Tensor, *, backend: str, overwrite: bool = False
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """Run ``sru_backward`` likewise. With ``overwrite`` the cpu backend writes the gradient of u over u."""
    if is_direct(inputs.u):
        return _run_backward(SruInputs.unpack(inputs.pack()), states, dh, backend=backend, overwrite=overwrite)
    du, dx, dv, db = torch.ops.textrnn.sru_backward(*inputs.pack(), states, dh, backend)
    return du, None if inputs.x is None else dx, dv, db


def _backend(name: str) -> ModuleType:
    # Triton takes a while to import
    return importlib.import_module("textrnn.ops.sru.cuda") if name == "cuda" else cpu


def _forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    *inputs, save, backend = arguments
    result: tuple[Tensor, Tensor, Tensor] = _backend(backend).forward(SruInputs.unpack(inputs), save=save)
    return result


def _backward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *inputs, states, dh, backend = arguments
    unpacked = SruInputs.unpack(inputs)
    du, dx, dv, db = _run_backward(unpacked, states, dh, backend=backend)
    return du, unpacked.u.new_empty(0) if dx is None else dx, dv, db  # an operator cannot return None


def _run_backward(
    inputs: SruInputs, states: Tensor, dh: Tensor, *, backend: str, overwrite: bool = False
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    dh = dh.contiguous().resolve_neg()
    if backend == "cpu":
        return cpu.backward(inputs, states, dh, du=inputs.u if overwrite else None)
    result: tuple[Tensor, Tensor | None, Tensor, Tensor] = _backend(backend).backward(inputs, states, dh)
    return result


def _fake_forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    u, _, offsets, *_, save, _ = arguments
    N, K, _, D = u.shape
    states = u.new_empty(N if save else 0, K, D, dtype=torch.float32)
    return u.new_empty(N, K, D), states, u.new_empty(offsets.shape[0] - 1, K, D, dtype=torch.float32)


def _fake_backward(*arguments: Any) -> tuple[Tensor, ...]:
    u, x, _, _, v, b, *_ = arguments
    dx = u.new_empty(0) if x is None else x
    return tuple(torch.empty(t.shape, dtype=t.dtype, device=t.device) for t in (u, dx, v, b))


def _set_up_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    u, x, offsets, order, v, b, ctx.alpha, c0, _, ctx.backend = inputs
    ctx.save_for_backward(u, x, offsets, order, v, b, c0, output[1])


def _differentiate(ctx: Any, dh: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    u, x, offsets, order, v, b, c0, states = ctx.saved_tensors
    arguments = (u, x, offsets, order, v, b, ctx.alpha, c0, states, dh, ctx.backend)
    du, dx, dv, db = torch.ops.textrnn.sru_backward(*arguments)
    return (du, None if x is None else dx, None, None, dv, db, *[None] * 4)


def _refuse(ctx: Any, *gradients: Any) -> None:
    raise NotImplementedError("SRU has no second derivatives; only backend='reference' does")


for _key in ("CPU", "CUDA"):
    _LIBRARY.impl("sru_forward", _forward, _key)
    _LIBRARY.impl("sru_backward", _backward, _key)
torch.library.register_fake("textrnn::sru_forward", _fake_forward, lib=_LIBRARY)
torch.library.register_fake("textrnn::sru_backward", _fake_backward, lib=_LIBRARY)
torch.library.register_autograd("textrnn::sru_forward", _differentiate, setup_context=_set_up_context, lib=_LIBRARY)
torch.library.register_autograd("textrnn::sru_backward", _refuse, lib=_LIBRARY)
