"""Selection of rows of a matrix, with a fast gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from textrnn.native import functions
from textrnn.ops.matmul import is_native


def take_rows(table: Tensor, places: Tensor) -> Tensor:
    """Return the rows ``places`` (N,) int64 of ``table`` (R, D).

    The definition is ``torch.nn.functional.embedding``. The C++ library adds up the gradients of a row in the order of
    ``places``, on all threads.

    Raises:
        IndexError: a place outside ``table``.
    """
    if (
        table.dtype != torch.float32
        or places.dtype != torch.int64
        or not is_native(table, places)
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
        functions.add_rows(x=gradient, places=places, sums=sums, threads=torch.get_num_threads())
        return sums, None
