"""Dropout whose random numbers are a function of a key and the place: nothing is kept to draw them again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from textrnn.native import library
from textrnn.ops.matmul import native_element
from textrnn.ops.native_call import call


def dropout(x: Tensor, p: float) -> Tensor:
    """Return ``x`` with a share ``p`` of its entries, drawn by torch's generator, set to 0, the others over 1 - p.

    As ``torch.nn.functional.dropout``, which on the CPU draws ten nanoseconds for each entry; by the C++ library where
    that computes. On the CPU ``p`` is rounded to 24 bits.
    """
    if p == 0 or not native_element(x):
        return functional.dropout(x, p)
    key = int(torch.randint(2**63 - 1, ()))
    if torch.is_grad_enabled() and x.requires_grad:
        result: Tensor = _Dropout.apply(x, 1 - p, key)
        return result
    return _drop(x, 1 - p, key)


def drop_columns(x: Tensor, p: float, offsets: Tensor) -> Tensor:
    """Return ``x`` (N, D) with a share ``p`` of its columns set to 0, others in each sequence, and the rest over 1 - p.

    The same mask in all steps of a sequence (Gal and Ghahramani 2016). ``offsets`` (B+1,) int64.
    """
    if p == 0:
        return x
    masks = torch.empty(len(offsets) - 1, x.shape[1], dtype=x.dtype, device=x.device).bernoulli_(1 - p).div_(1 - p)
    return x * masks.repeat_interleave(offsets.diff(), dim=0, output_size=len(x))


def _drop(x: Tensor, keep: float, key: int) -> Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    call("dropout", library.element_of(x.dtype), x, y, x.numel(), keep, key)
    return y


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: float, key: int) -> Tensor:
        ctx.keep, ctx.key = keep, key
        return _drop(x, keep, key)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _drop(gradient, ctx.keep, ctx.key), None, None
