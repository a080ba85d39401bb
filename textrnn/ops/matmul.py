"""Products of matrices beside the recurrence: the C++ library's where it has them, torch's elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils import _python_dispatch

from textrnn.native import library

_LONG = 4096  # terms of a sum that is to be rounded to 16 bits; more are added up in float32 memory instead


def is_direct(*tensors: Tensor | None) -> bool:
    """Return whether the memory of ``tensors`` may be worked on without torch knowing.

    It may not while torch traces or compiles what is done, and where a tensor is not what its memory holds.
    """
    if torch.compiler.is_compiling() or _python_dispatch._get_current_dispatch_mode() is not None:
        return False
    return all(t is None or (type(t) in (Tensor, nn.Parameter) and not t.is_neg()) for t in tensors)


def native_element(x: Tensor, *others: Tensor) -> int:
    """Return the bytes of an entry of ``x`` where the C++ library can work on it and ``others`` directly, else 0."""
    if not is_direct(x, *others) or not all(t.is_cpu for t in (x, *others)) or library.load_native().library is None:
        return 0
    return library.element_of(x.dtype)


def multiply(a: Tensor, b: Tensor, *, dtype: torch.dtype | None = None, add_to: Tensor | None = None) -> Tensor:
    """Return ``a @ b`` in the dtype of its factors, whatever autocast says; no gradients come out of it.

    Args:
        a: (M, K).
        b: (K, N), of the same dtype and on the same device.
        dtype: of the result; that of ``a`` unless it is given.
        add_to: (M, N) with contiguous rows; the product is added to it, and it is returned.
    """
    if is_direct(a, b, add_to) and a.is_cpu and library.takes(a.dtype):
        return _multiply_natively(a, b, dtype or a.dtype, add_to)
    if torch.is_autocast_enabled(a.device.type):
        with torch.autocast(a.device.type, enabled=False):
            return multiply(a, b, dtype=dtype, add_to=add_to)
    if add_to is not None:
        return add_to.addmm_(a, b)
    c = a @ b
    return c if dtype is None else c.to(dtype)


def _multiply_natively(a: Tensor, b: Tensor, dtype: torch.dtype, add_to: Tensor | None) -> Tensor:
    c = torch.empty(a.shape[0], b.shape[1], dtype=dtype, device=a.device) if add_to is None else add_to
    narrow = c.dtype != torch.float32 and a.shape[1] > _LONG
    wide = c.float() if narrow else c
    library.multiply(a, b, wide, accumulate=add_to is not None, threads=torch.get_num_threads())
    return c.copy_(wide) if narrow else c
