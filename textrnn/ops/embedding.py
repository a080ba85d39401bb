"""Selection of rows of a matrix, with a fast gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from textrnn.native import functions
from textrnn.ops import fused
from textrnn.ops.matmul import is_native


def take_rows(table: Tensor, places: Tensor, by_row: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Return the rows ``places`` (N,) int64 of ``table`` (R, D).

    The definition is ``torch.nn.functional.embedding``. The C++ library adds up the gradients of a row in the order of
    ``places``, on all threads; so does a kernel on CUDA, given ``by_row`` (:func:`group_places`).

    Raises:
        IndexError: a place outside ``table``.
    """
    if by_row is not None and fused.supports(table):
        return fused.take_rows(table, places, by_row)
    if (
        table.dtype != torch.float32
        or places.dtype != torch.int64
        or not is_native(table, places)
        or not table.requires_grad
    ):
        return functional.embedding(places, table)
    result: Tensor = _Rows.apply(table, places)
    return result


def group_places(places: npt.NDArray[np.int64], R: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the ``order`` (N,) that sorts ``places`` (N,), below R, and the start (R+1,) of each place in it."""
    narrow = places.astype(np.uint16) if R <= 1 << 16 else places  # numpy sorts 16 bits by their digits
    starts = np.append(0, np.bincount(places, minlength=R).cumsum())
    return np.argsort(narrow, kind="stable").astype(np.int32), starts.astype(np.int32)


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
