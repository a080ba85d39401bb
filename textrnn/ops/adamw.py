"""AdamW over many tensors, and over some rows of a matrix, in one pass over them."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textrnn.native import library
from textrnn.ops.native_call import call

_RATES = struct.Struct("@6f")  # of beside.h
_MOVED = struct.Struct("@5P3qd")  # of beside.h


@dataclass(frozen=True)
class ParameterState:
    """A tensor with its moments, which have its shape; ``decay`` is its weight decay (0: none)."""

    weight: Tensor
    mean: Tensor
    square: Tensor
    decay: float

    @property
    def is_native(self) -> bool:
        """Whether the C++ library computes on it: in float32 on the CPU."""
        tensors = (self.weight, self.mean, self.square)
        fit = all(t.is_cpu and t.dtype == torch.float32 and t.is_contiguous() for t in tensors)
        return fit and library.load_native().library is not None


class NativeStep:
    """A step over tensors that are all native, by their gradients.

    Args:
        gradients: each with a tensor, and with its rows (R,) int64, each of them once, where the gradient (R, D) is of
            these rows of a matrix (V, D) alone.
    """

    def __init__(self, gradients: Sequence[tuple[ParameterState, Tensor, Tensor | None]]) -> None:
        self._parts = [(m, g.contiguous(), None if rows is None else rows.contiguous()) for m, g, rows in gradients]

    def norm(self) -> float:
        """Return the square root of the sum of the squares of all gradients."""
        total = ctypes.c_double()
        call("squares", *self._pack(0.0), ctypes.byref(total))
        return float(total.value**0.5)

    def move(self, *, lr: float, scale: float, betas: tuple[float, float], epsilon: float, steps: int) -> None:
        """Move all by ``scale`` times their gradients in step ``steps`` (from 1), as ``torch.optim.AdamW`` does.

        Raises:
            ValueError: rows that are not there.
        """
        beta1, beta2 = betas
        rates = _RATES.pack(scale, beta1, beta2, lr / (1 - beta1**steps), (1 - beta2**steps) ** -0.5, epsilon)
        call("adamw", *self._pack(lr), rates, refused="rows should be among those of their matrix")

    def _pack(self, lr: float) -> tuple[bytes, int]:
        packed = []
        for moved, gradient, rows in self._parts:
            addresses = [t.data_ptr() for t in (moved.weight, moved.mean, moved.square, gradient)]
            place, shape = 0, (gradient.numel(), 0, 1)
            if rows is not None:
                place, shape = rows.data_ptr(), (len(rows), *moved.weight.shape)
            packed.append(_MOVED.pack(*addresses, place, *shape, 1 - lr * moved.decay))
        return b"".join(packed), len(packed)
