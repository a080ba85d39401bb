"""Pooling of each packed sequence to one row: maximum, mean and attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from textrnn.native import functions
from textrnn.ops import fused
from textrnn.ops.matmul import is_native


def pool(h: Tensor, offsets: Tensor, how: str) -> Tensor:
    """Pool each sequence.

    Args:
        h: (N, D).
        offsets: (B+1,) int64; no sequence is empty.
        how: ``max``, ``mean`` or ``max+mean``. Of equal largest entries the first gets the gradient if the C++ library
            computes (float32 and bfloat16 on the CPU); elsewhere all share it.

    Returns:
        (B, D), or (B, 2 * D) for ``max+mean``, in float32 if the C++ library computes, else in the dtype of ``h``.

    Raises:
        ValueError: offsets that do not rise from 0 to N, or an empty sequence.
    """
    if not is_native(h, offsets):
        parts = [torch.segment_reduce(h, part, offsets=offsets, unsafe=True) for part in how.split("+")]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    result: Tensor = _Pool.apply(h, offsets, how)
    return result


def attend(h: Tensor, w: Tensor, offsets: Tensor) -> Tensor:
    """Return the mean of each sequence's rows, weighted by the softmax of the scores ``tanh(row) . w``.

    Args:
        h: (N, D).
        w: (D,), float32, or float64 with an ``h`` of float64.
        offsets: (B+1,) int64; no sequence is empty.

    Returns:
        (B, D), in float64 if ``h`` is, else in float32 whatever autocast says: bfloat16 is too coarse for sums over a
        text.

    Raises:
        ValueError: offsets that do not rise from 0 to N, an empty sequence, or a ``w`` of another width.
    """
    if h.dim() != 2 or w.shape != h.shape[1:]:
        raise ValueError(f"h should be (N, D) and w (D,), not {tuple(h.shape)} and {tuple(w.shape)}")
    if fused.supports(h, w):
        return fused.attend(h, w, offsets)
    h = h if h.dtype == torch.float64 else h.float()
    if w.dtype == torch.float32 and is_native(h, w, offsets):
        attended: Tensor = _Attention.apply(h, w, offsets)
        return attended
    scores = (torch.tanh(h) * w).sum(dim=1, keepdim=True)  # a matrix product would be in bfloat16 under autocast
    top = torch.segment_reduce(scores.detach(), "max", offsets=offsets, unsafe=True)
    weights = torch.exp(scores - top.repeat_interleave(offsets.diff(), dim=0, output_size=len(h)))
    sums = [torch.segment_reduce(part, "sum", offsets=offsets, unsafe=True) for part in (weights * h, weights)]
    return sums[0] / sums[1]


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, w: Tensor, offsets: Tensor) -> Tensor:
        h, w, offsets = h.contiguous(), w.contiguous(), offsets.contiguous()
        (N, D), B = h.shape, offsets.shape[0] - 1
        pooled, weights = h.new_empty(B, D), h.new_empty(N)
        tensors = {"x": h, "w": w, "offsets": offsets, "pooled": pooled, "weights": weights}
        functions.attend(**tensors, threads=torch.get_num_threads())
        ctx.save_for_backward(h, w, offsets, pooled, weights)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        h, w, offsets, pooled, weights = ctx.saved_tensors
        tensors = {"x": h, "w": w, "offsets": offsets, "pooled": pooled, "weights": weights}
        dh, dw = torch.empty_like(h), torch.empty_like(pooled)
        gradients = {"dpooled": gradient.float().contiguous(), "dx": dh, "dw": dw}
        functions.attend_back(**tensors, **gradients, threads=torch.get_num_threads())
        return dh, dw.sum(dim=0), None


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, offsets: Tensor, how: str) -> Tensor:
        h, offsets = h.contiguous(), offsets.contiguous()
        B, D = offsets.shape[0] - 1, h.shape[1]
        largest = torch.empty(B, D, dtype=torch.float32, device=h.device) if "max" in how else None
        place = torch.empty(B, D, dtype=torch.int32, device=h.device) if "max" in how else None
        mean = torch.empty(B, D, dtype=torch.float32, device=h.device) if "mean" in how else None
        pooled = {"largest": largest, "place": place, "mean": mean}
        functions.pool_rows(x=h, offsets=offsets, **pooled, threads=torch.get_num_threads())
        ctx.dtype, ctx.shape = h.dtype, h.shape
        ctx.save_for_backward(offsets, place)
        parts = [part for part in (largest, mean) if part is not None]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        offsets, place = ctx.saved_tensors
        D = ctx.shape[1]
        dlargest = None if place is None else gradient[:, :D].float().contiguous()
        dmean = gradient[:, -D:].float().contiguous() if place is None or gradient.shape[1] > D else None
        dh = torch.empty(ctx.shape, dtype=ctx.dtype, device=gradient.device)
        gradients = {"dlargest": dlargest, "dmean": dmean, "dx": dh}
        functions.pool_rows_back(offsets=offsets, place=place, **gradients, threads=torch.get_num_threads())
        return dh, None, None
