"""Rows of a matrix by their places, whose gradients are added up without a pass over other memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from textrnn.ops.matmul import native_element
from textrnn.ops.native_call import call


def take_rows(table: Tensor, places: Tensor) -> Tensor:
    """Return the rows ``places`` (N,) int64 of ``table`` (R, D), as ``torch.nn.functional.embedding`` does.

    Where the C++ library computes the gradients of a row are added up in the order of their places, by all threads.

    Raises:
        IndexError: a place that is not there.
    """
    if (
        table.dtype != torch.float32
        or places.dtype != torch.int64
        or not native_element(table, places)
        or not table.requires_grad
    ):
        return functional.embedding(places, table)
    result: Tensor = _Rows.apply(table, places)
    return result


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, places: Tensor) -> Tensor:
        ctx.shape = table.shape
        ctx.save_for_backward(places.contiguous())
        return table.index_select(0, places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        gradient, sums = gradient.contiguous(), torch.empty(ctx.shape)
        call("add_rows", gradient, places, len(places), *ctx.shape, sums, refused="places should be among the rows")
        return sums, None
