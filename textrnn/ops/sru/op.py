"""The recurrence as an operator of torch: what autograd, torch.compile and export see.

``textrnn::sru_forward`` and ``textrnn::sru_backward`` run the backend that is named, cpu or cuda, on the tensors of its
device. The reference backend needs no operator: it is plain torch.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from textrnn.ops.matmul import is_direct
from textrnn.ops.sru import cpu

_LIBRARY = torch.library.Library("textrnn", "DEF")
_LIBRARY.define(
    "sru_forward(Tensor u, Tensor? x, Tensor offsets, Tensor v, Tensor b, float alpha, Tensor? c0, Tensor? mask, "
    "bool save, str backend) -> (Tensor, Tensor, Tensor)"
)
_LIBRARY.define(
    "sru_backward(Tensor? dh, Tensor? dfinal, Tensor u, Tensor? x, Tensor offsets, Tensor v, Tensor b, float alpha, "
    "Tensor? c0, Tensor? mask, Tensor states, str backend) -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)


def _allocate_forward(u: Tensor, B: int, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    N, K, _, D = u.shape
    return (
        torch.empty(N, K, D, dtype=u.dtype, device=u.device),
        torch.empty(N if save else 0, K, D, dtype=torch.float32, device=u.device),
        torch.empty(B, K, D, dtype=torch.float32, device=u.device),
    )


def _allocate_backward(
    u: Tensor, x: Tensor | None, v: Tensor, c0: Tensor | None, du: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What is not asked for is empty, since an operator returns tensors always."""
    return (
        torch.empty(u.shape, dtype=u.dtype, device=u.device) if du is None else du,
        u.new_empty(0) if x is None else torch.empty(x.shape, dtype=x.dtype, device=x.device),
        torch.empty(v.shape, dtype=v.dtype, device=v.device),
        torch.empty(v.shape, dtype=v.dtype, device=v.device),
        u.new_empty(0, dtype=torch.float32) if c0 is None else torch.empty(c0.shape, dtype=c0.dtype, device=c0.device),
    )


def _compact(value: Tensor | None) -> Any:
    """Return ``value`` as its memory should hold it."""
    return value if value is None else value.contiguous().resolve_neg()


def _forward(
    u: Tensor,
    x: Tensor | None,
    offsets: Tensor,
    v: Tensor,
    b: Tensor,
    alpha: float,
    c0: Tensor | None,
    mask: Tensor | None,
    save: bool,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor]:
    u, x, offsets, v, b, c0, mask = map(_compact, (u, x, offsets, v, b, c0, mask))
    if backend == "cuda":
        result: tuple[Tensor, Tensor, Tensor] = _kernels().forward(
            u, x, offsets, v=v, b=b, alpha=alpha, c0=c0, mask=mask, save=save
        )
        return result
    B = offsets.shape[0] - 1
    h, states, final = _allocate_forward(u, B, save)
    N, K, G, D = u.shape
    cpu.run(
        "forward",
        sizes=(N, B, K, G, D),
        alpha=alpha,
        threads=torch.get_num_threads(),
        **{"offsets": offsets, "u": u, "x": x, "v": v, "b": b, "c0": c0, "mask": mask},
        **{"h": h, "states": states if save else None, "final": final},
    )
    return h, states, final


def _backward(
    dh: Tensor | None,
    dfinal: Tensor | None,
    u: Tensor,
    x: Tensor | None,
    offsets: Tensor,
    v: Tensor,
    b: Tensor,
    alpha: float,
    c0: Tensor | None,
    mask: Tensor | None,
    states: Tensor,
    backend: str,
    *,
    du: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dh, dfinal, u, x, offsets, v, b, c0, mask = map(_compact, (dh, dfinal, u, x, offsets, v, b, c0, mask))
    if backend == "cuda":
        new, dx, dv, db, dc0 = _kernels().backward(
            dh, dfinal, u=u, x=x, offsets=offsets, v=v, b=b, alpha=alpha, c0=c0, mask=mask, states=states
        )
        return new, u.new_empty(0) if dx is None else dx, dv, db, states.new_empty(0) if dc0 is None else dc0
    gradients = du, dx, dv, db, dc0 = _allocate_backward(u, x, v, c0, du)
    N, K, G, D = u.shape
    cpu.run(
        "backward",
        sizes=(N, offsets.shape[0] - 1, K, G, D),
        alpha=alpha,
        threads=torch.get_num_threads(),
        **{"offsets": offsets, "u": u, "x": x, "v": v, "b": b, "c0": c0, "mask": mask},
        **{"dh": dh, "dfinal": dfinal, "states": states},
        **{"du": du, "dx": None if x is None else dx, "dv": dv, "db": db, "dc0": None if c0 is None else dc0},
    )
    return gradients


def forward(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Run ``sru_forward``; directly where torch need not see it, which saves the way through its dispatcher."""
    run = _forward if is_direct(args[0]) else torch.ops.textrnn.sru_forward
    result: tuple[Tensor, Tensor, Tensor] = run(*args)
    return result


def backward(*args: Any, du: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Run ``sru_backward`` likewise. On the CPU the gradient of u goes to ``du`` where it is given, even to u itself."""
    if is_direct(args[2]):
        return _backward(*args, du=du)
    result: tuple[Tensor, Tensor, Tensor, Tensor, Tensor] = torch.ops.textrnn.sru_backward(*args)
    return result


def _kernels() -> Any:
    return importlib.import_module("textrnn.ops.sru.cuda")  # Triton takes a while to import


def _fake_forward(u: Tensor, x: Any, offsets: Tensor, v: Any, b: Any, alpha: float, c0: Any, mask: Any, save: bool,
                  backend: str) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return _allocate_forward(u, offsets.shape[0] - 1, save)


def _fake_backward(dh: Any, dfinal: Any, u: Tensor, x: Tensor | None, offsets: Any, v: Tensor, b: Tensor, alpha: float,
                   c0: Tensor | None, mask: Any, states: Any, backend: str,
                   ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return _allocate_backward(u, x, v, c0)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    u, x, offsets, v, b, ctx.alpha, c0, mask, _, ctx.backend = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(u, x, offsets, v, b, c0, mask, output[1])


def _differentiate(ctx: Any, dh: Tensor | None, dstates: Tensor | None, dfinal: Tensor | None) -> tuple[Any, ...]:
    u, x, offsets, v, b, c0, mask, states = ctx.saved_tensors
    du, dx, dv, db, dc0 = torch.ops.textrnn.sru_backward(
        dh, dfinal, u, x, offsets, v, b, ctx.alpha, c0, mask, states, ctx.backend
    )
    return (
        *(du, None if x is None else dx, None, dv, db, None),
        *(None if c0 is None else dc0, None, None, None),
    )


def _forget(ctx: Any, inputs: Any, output: Any) -> None:
    """Keep nothing: see :func:`_refuse`."""


def _refuse(ctx: Any, *gradients: Any) -> None:
    raise NotImplementedError("SRU has no second derivatives; only backend='reference' does")


for _key in ("CPU", "CUDA"):
    _LIBRARY.impl("sru_forward", _forward, _key)
    _LIBRARY.impl("sru_backward", _backward, _key)
torch.library.register_fake("textrnn::sru_forward", _fake_forward, lib=_LIBRARY)
torch.library.register_fake("textrnn::sru_backward", _fake_backward, lib=_LIBRARY)
torch.library.register_autograd("textrnn::sru_forward", _differentiate, setup_context=_keep, lib=_LIBRARY)
torch.library.register_autograd("textrnn::sru_backward", _refuse, setup_context=_forget, lib=_LIBRARY)


def recur(
    u: Tensor,
    x: Tensor | None,
    offsets: Tensor,
    *,
    v: Tensor,
    b: Tensor,
    alpha: float,
    c0: Tensor | None,
    mask: Tensor | None,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """Compute what :func:`textrnn.ops.sru.recurrence.sru_recurrence` says, by the backend cpu or cuda."""
    x = None if x is None else x.to(u.dtype)
    v, b = v.float(), b.float()
    c0, mask = None if c0 is None else c0.float(), None if mask is None else mask.float()
    leaves = (u, x, v, b, c0)
    save = torch.is_grad_enabled() and any(leaf is not None and leaf.requires_grad for leaf in leaves)
    h, _, final = torch.ops.textrnn.sru_forward(u, x, offsets, v, b, alpha, c0, mask, save, backend)
    return h, final
