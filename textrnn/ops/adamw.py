"""AdamW in the C++ library, over many tensors and over some rows of a matrix in one pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from textrnn.native import functions, library


@dataclass(frozen=True)
class ParameterState:
    """A tensor with its moments, of the same shape, and its weight decay."""

    weight: Tensor
    mean: Tensor
    square: Tensor
    decay: float

    @property
    def is_native(self) -> bool:
        """Support by the C++ library, which updates float32 on the CPU."""
        tensors = (self.weight, self.mean, self.square)
        fit = all(t.is_cpu and t.dtype == torch.float32 and t.is_contiguous() for t in tensors)
        return fit and library.is_available()


class NativeStep:
    """A step over tensors that are all native.

    Args:
        gradients: each with its tensor, and with rows (R,) int64, distinct, if the gradient (R, D) is of these rows
            of a matrix (V, D) alone.
    """

    def __init__(self, gradients: Sequence[tuple[ParameterState, Tensor, Tensor | None]]) -> None:
        self._held = [
            {**vars(p), "gradient": g.contiguous(), "rows": None if rows is None else rows.contiguous()}
            for p, g, rows in gradients
        ]
        self._parameters = np.frombuffer(b"".join(map(functions.PARAMETER.pack, self._held)), np.uint8)

    def norm(self) -> float:
        """Return the Euclidean norm of all gradients together."""
        total = np.empty(1)
        functions.squares(parameters=self._parameters, total=total, threads=torch.get_num_threads())
        return math.sqrt(total[0])

    def move(self, *, lr: float, scale: float, betas: tuple[float, float], epsilon: float, steps: int) -> None:
        """Update all by ``scale`` times their gradients in step ``steps`` (from 1), as ``torch.optim.AdamW`` does.

        Raises:
            ValueError: rows outside their matrix.
        """
        beta1, beta2 = betas
        functions.adamw(
            parameters=self._parameters,
            lr=lr,
            scale=scale,
            beta1=beta1,
            beta2=beta2,
            step=lr / (1 - beta1**steps),
            root=(1 - beta2**steps) ** -0.5,
            epsilon=epsilon,
            threads=torch.get_num_threads(),
        )
