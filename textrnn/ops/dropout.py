"""Dropout whose random numbers are hashes of a key and a place: the backward pass draws them again, no mask is kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from textrnn.native import functions
from textrnn.ops.matmul import is_native


def dropout(x: Tensor, p: float) -> Tensor:
    """Return ``x`` with a share ``p`` of its entries set to 0 and the others divided by ``1 - p``.

    The definition is ``torch.nn.functional.dropout``, which on the CPU takes ten nanoseconds an entry to draw; the C++
    library is faster, and rounds ``p`` to 24 bits.
    """
    if p == 0 or not is_native(x):
        return functional.dropout(x, p)
    result: Tensor = _Dropout.apply(x, None, (1 - p, draw_key()))
    return result


def dropout_columns(x: Tensor, p: float, offsets: Tensor) -> Tensor:
    """Return ``x`` (N, D) with a share ``p`` of each sequence's columns set to 0 and the others divided by ``1 - p``.

    A sequence has the same mask in all of its rows (Gal and Ghahramani 2016). ``offsets`` (B+1,) is int64.
    """
    if p == 0:
        return x
    if is_native(x, offsets):
        result: Tensor = _Dropout.apply(x, offsets.contiguous(), (1 - p, draw_key()))
        return result
    kept = torch.empty(len(offsets) - 1, x.shape[1], dtype=x.dtype, device=x.device).bernoulli_(1 - p)
    return drop_masked(x, kept, offsets, keep=1 - p)


def drop_masked(x: Tensor, kept: Tensor, offsets: Tensor, *, keep: float) -> Tensor:
    """Return ``x`` (N, D) times the mask ``kept`` (B, D) of each row's sequence, over ``keep``."""
    return x * (kept / keep).repeat_interleave(offsets.diff(), dim=0, output_size=len(x))


def draw_key() -> int:
    """Return a key of 63 bits drawn by torch's generator."""
    return int(torch.randint(2**63 - 1, ()))


def _drop(x: Tensor, offsets: Tensor | None, drawn: tuple[float, int]) -> Tensor:
    x, (keep, key) = x.contiguous(), drawn
    y = torch.empty_like(x)
    functions.dropout(x=x, y=y, keep=keep, key=key, offsets=offsets, threads=torch.get_num_threads())
    return y


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, offsets: Tensor | None, drawn: tuple[float, int]) -> Tensor:
        ctx.offsets, ctx.drawn = offsets, drawn
        return _drop(x, offsets, drawn)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _drop(gradient, ctx.offsets, ctx.drawn), None, None
