"""AdamW over some rows of a matrix, in one pass over them."""

from __future__ import annotations

import struct

import torch
from torch import Tensor

from textrnn.ops.sru import cpu

_RATES = struct.Struct("6f")  # of beside.h


def move_rows_natively(
    weight: Tensor,
    *,
    mean: Tensor,
    square: Tensor,
    gradient: Tensor,
    rows: Tensor,
    rates: tuple[float, float, float, float, float, float],
) -> bool:
    """Move ``rows`` (R,) int64, each of them once, of ``weight`` (V, D) and its moments by ``gradient`` (R, D).

    ``rates`` are both betas, what decay leaves of a weight, the step, one over the root of the second bias correction,
    and epsilon. Returns False, with nothing done, where the C++ library does not compute: it takes float32 on the CPU.

    Raises:
        ValueError: rows that are not there.
    """
    library = cpu.load_native().library
    tensors = (weight, mean, square, gradient)
    if library is None or not all(t.is_cpu and t.dtype == torch.float32 and t.is_contiguous() for t in tensors):
        return False
    addresses = [tensor.data_ptr() for tensor in (*tensors, rows.contiguous())]
    status = library.textrnn_adamw(*addresses, len(rows), *weight.shape, _RATES.pack(*rates), torch.get_num_threads())
    if status == 2:
        raise ValueError(f"rows should be among the {len(weight)} of the matrix")
    if status:
        raise MemoryError
    return True
