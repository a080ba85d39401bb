"""Products of matrices: the C++ library's where it has them, torch's elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils import _python_dispatch

from textrnn.native import functions, library
from textrnn.native.arguments import dtype_name

_LONG = 4096  # longer sums are added up in float32 memory before they are rounded to 16 bits


def is_direct(*tensors: Tensor | None) -> bool:
    """Return whether a function may work on the memory of ``tensors`` without torch's knowledge.

    It may not while torch traces or compiles, or if a tensor's memory does not hold its values.
    """
    if torch.compiler.is_compiling() or _python_dispatch._get_current_dispatch_mode() is not None:
        return False
    return all(t is None or (type(t) in (Tensor, nn.Parameter) and not t.is_neg()) for t in tensors)


def is_native(x: Tensor, *others: Tensor) -> bool:
    """Return whether the C++ library can work on ``x`` and ``others``: on the CPU, with ``x`` in a dtype it has."""
    if not is_direct(x, *others) or not all(t.is_cpu for t in (x, *others)):
        return False
    return dtype_name(x.dtype) in library.DTYPES and library.is_available()


def multiply(a: Tensor, b: Tensor, *, dtype: torch.dtype | None = None, add_to: Tensor | None = None) -> Tensor:
    """Return ``a @ b`` in the dtype of its factors, whatever autocast says, without gradients.

    Args:
        a: (M, K).
        b: (K, N), of the same dtype and on the same device.
        dtype: of the result; by default that of ``a``.
        add_to: (M, N) with contiguous rows; the product is added to it, and it is returned.
    """
    if is_direct(a, b, add_to) and a.is_cpu and library.supports_dtype(a.dtype):
        return _multiply_natively(a, b, dtype=dtype or a.dtype, add_to=add_to)
    if torch.is_autocast_enabled(a.device.type):
        with torch.autocast(a.device.type, enabled=False):
            return multiply(a, b, dtype=dtype, add_to=add_to)
    if add_to is not None:
        return add_to.addmm_(a, b)
    c = a @ b
    return c if dtype is None else c.to(dtype)


def _multiply_natively(a: Tensor, b: Tensor, *, dtype: torch.dtype, add_to: Tensor | None) -> Tensor:
    c = torch.empty(a.shape[0], b.shape[1], dtype=dtype, device=a.device) if add_to is None else add_to
    narrow = c.dtype != torch.float32 and a.shape[1] > _LONG
    wide = c.float() if narrow else c
    functions.gemm(a=a, b=b, c=wide, accumulate=add_to is not None, threads=torch.get_num_threads())
    return c.copy_(wide) if narrow else c
