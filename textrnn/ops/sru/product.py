"""Products of matrices beside the recurrence: the C++ library's where it has them, torch's elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from textrnn.ops.sru import cpu


def multiply(a: Tensor, b: Tensor, *, dtype: torch.dtype | None = None, add_to: Tensor | None = None) -> Tensor:
    """Return ``a @ b``; no gradients come out of it.

    Args:
        a: (M, K).
        b: (K, N), of the same dtype.
        dtype: of the result; that of ``a`` unless it is given.
        add_to: (M, N) with contiguous rows; the product is added to it, and it is returned.
    """
    if a.device.type == "cpu" and not torch.compiler.is_compiling() and cpu.takes(a.dtype):
        c = torch.empty(a.shape[0], b.shape[1], dtype=dtype or a.dtype) if add_to is None else add_to
        cpu.multiply(a, b, c, accumulate=add_to is not None, threads=torch.get_num_threads())
        return c
    if add_to is not None:
        return add_to.addmm_(a, b)
    c = a @ b
    return c if dtype is None else c.to(dtype)
