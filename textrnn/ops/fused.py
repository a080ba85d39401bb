"""Operators of a training step on CUDA devices, each of one or two kernels, with their gradients.

The definitions are in ``layer_norm.py``, ``pooling.py``, ``embedding.py`` and ``training/loss.py``, which call these
where :func:`supports` says so. The kernels are operators of torch that write into tensors they are given: modes of
torch see them, and none has to know what they compute.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from textrnn.ops.matmul import is_direct

WIDEST = 4096  # columns of a row that a program holds
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_PARTS = 512  # as the kernel's PARTS

_LIBRARY = torch.library.Library("textrnn", "FRAGMENT")
_SCHEMAS = {
    "dropout_norm": "Tensor x, Tensor? sequences, Tensor gain, Tensor bias, Tensor(a!) y, Tensor(b!) n, "
    "Tensor(c!) mean, Tensor(d!) rstd, float keep, int key, float epsilon",
    "dropout_norm_back": "Tensor y, Tensor? dy, Tensor dn, Tensor? sequences, Tensor gain, Tensor mean, Tensor rstd, "
    "Tensor(a!) dx, Tensor(b!) sums, float keep, int key",
    "attend": "Tensor h, Tensor w, Tensor offsets, Tensor(a!) pooled, Tensor(b!) scores, Tensor(c!) totals",
    "attend_back": "Tensor h, Tensor w, Tensor offsets, Tensor pooled, Tensor scores, Tensor totals, "
    "Tensor dpooled, Tensor(a!) dh, Tensor(b!) dw",
    "add_rows": "Tensor x, Tensor order, Tensor starts, Tensor(a!) sums",
    "softmax_loss": "Tensor logits, Tensor targets, Tensor(a!) losses, Tensor(b!) dlogits, float smoothing, "
    "float? r_drop",
}


def supports(x: Tensor, *others: Tensor) -> bool:
    """Return whether the kernels can work on rows of ``x`` (N, D), with ``others`` in float32 on the same device."""
    if torch.compiler.is_compiling() or not x.is_cuda or not _has_triton():  # torch.compile fuses the definitions
        return False
    return x.dtype in _DTYPES and 0 < x.shape[1] <= WIDEST and all(t.dtype == torch.float32 for t in others)


@functools.cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def dropout_layer_norm(
    x: Tensor,
    p: float,
    *,
    gain: Tensor,
    bias: Tensor,
    epsilon: float,
    key: int,
    sequences: Tensor | None,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Return the dropout of ``x`` (N, D), and the layer norm of that, both in ``dtype``.

    ``key`` chooses the random numbers. ``sequences`` (N,) int32 is the sequence of each row: the rows of a sequence
    lose the same columns. None: every entry is dropped by itself.
    """
    result: tuple[Tensor, Tensor] = _DropoutNorm.apply(x, gain, bias, sequences, (1 - p, epsilon, key), dtype)
    return result


def attend(h: Tensor, w: Tensor, offsets: Tensor) -> Tensor:
    """Return :func:`textrnn.ops.pooling.attend` in float32."""
    result: Tensor = _Attention.apply(h, w, offsets)
    return result


def take_rows(table: Tensor, places: Tensor, by_row: tuple[Tensor, Tensor]) -> Tensor:
    """Return the rows ``places`` (N,) of ``table`` (R, D).

    ``by_row`` is ``places`` as its gradient needs it: ``order`` (N,) int32, which sorts it, and ``starts`` (R+1,)
    int32, where each row's part of ``order`` starts.
    """
    result: Tensor = _Rows.apply(table, places, by_row)
    return result


def softmax_loss(logits: Tensor, targets: Tensor, *, smoothing: float, r_drop: float | None) -> Tensor:
    """Return the cross entropy () of ``logits`` (B, C) for classes (B,) int64, summed over those that are not negative.

    With ``r_drop`` the logits are (2 * B, C), two predictions of each text, and the loss is that of
    :class:`textrnn.training.train_step.LossModule`.
    """
    result: Tensor = _SoftmaxLoss.apply(logits, targets, (smoothing, r_drop))
    return result


def _run(name: str, *arguments: Any) -> None:
    """Run a kernel; directly if torch need not see it, which saves the time of its dispatcher."""
    if is_direct(*(value for value in arguments if isinstance(value, Tensor))):
        _implement(name, *arguments)
    else:
        getattr(torch.ops.textrnn, name)(*arguments)


def _implement(name: str, *arguments: Any) -> None:
    # Triton takes a while to import
    getattr(importlib.import_module("textrnn.ops.fused_kernels"), name)(*arguments)


for _name, _schema in _SCHEMAS.items():
    _LIBRARY.define(f"{_name}({_schema}) -> ()")
    for _key in ("CPU", "CUDA"):  # on the CPU in Triton's interpreter, for tests
        _LIBRARY.impl(_name, functools.partial(_implement, _name), _key)
    torch.library.register_fake(f"textrnn::{_name}", lambda *_: None, lib=_LIBRARY)


class _DropoutNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        bias: Tensor,
        sequences: Tensor | None,
        drawn: tuple[float, float, int],
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        x, gain, bias, (keep, epsilon, key) = x.contiguous(), gain.contiguous(), bias.contiguous(), drawn
        y = x if keep == 1 and x.dtype == dtype else torch.empty_like(x, dtype=dtype)
        n = torch.empty_like(x, dtype=dtype)
        mean, rstd = x.new_empty(len(x), dtype=torch.float32), x.new_empty(len(x), dtype=torch.float32)
        if len(x):
            _run("dropout_norm", x, sequences, gain, bias, y, n, mean, rstd, keep, key, epsilon)
        ctx.dtype, ctx.drawn = x.dtype, (keep, key)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(y, gain, sequences, mean, rstd)
        return y, n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, dn: Tensor | None) -> tuple[Tensor | None, ...]:
        y, gain, sequences, mean, rstd = ctx.saved_tensors
        dn = torch.zeros_like(y) if dn is None else dn.contiguous()
        dy = None if dy is None else dy.contiguous()
        dx = torch.empty_like(y, dtype=ctx.dtype)
        sums = gain.new_empty(min(len(y), _PARTS), 2, len(gain))
        if len(y):
            _run("dropout_norm_back", y, dy, dn, sequences, gain, mean, rstd, dx, sums, *ctx.drawn)
        dgain, dbias = sums.sum(0).unbind()
        return dx, dgain, dbias, None, None, None


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, w: Tensor, offsets: Tensor) -> Tensor:
        h, w, (N, D), B = h.contiguous(), w.contiguous(), h.shape, len(offsets) - 1
        pooled, scores, totals = w.new_empty(B, D), w.new_empty(N), w.new_empty(B)
        if B:
            _run("attend", h, w, offsets, pooled, scores, totals)
        ctx.save_for_backward(h, w, offsets, pooled, scores, totals)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        h, _, _, pooled, *_ = ctx.saved_tensors
        dh, dw = torch.empty_like(h), torch.empty_like(pooled)
        if len(pooled):
            _run("attend_back", *ctx.saved_tensors, gradient.contiguous(), dh, dw)
        return dh, dw.sum(0), None


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, places: Tensor, by_row: tuple[Tensor, Tensor]) -> Tensor:
        ctx.shape, ctx.dtype = table.shape, table.dtype
        ctx.save_for_backward(*by_row)
        return table.index_select(0, places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        sums = gradient.new_empty(ctx.shape, dtype=ctx.dtype)
        if len(sums):
            _run("add_rows", gradient.contiguous(), *ctx.saved_tensors, sums)
        return sums, None, None


class _SoftmaxLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, settings: tuple[float, float | None]) -> Tensor:
        logits = logits.contiguous()
        losses, dlogits = logits.new_empty(len(targets), dtype=torch.float32), torch.empty_like(logits)
        if len(targets):
            _run("softmax_loss", logits, targets, losses, dlogits, *settings)
        ctx.save_for_backward(dlogits)
        return losses.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (dlogits,) = ctx.saved_tensors
        return dlogits * gradient, None, None
