"""What stands before a recurrent layer: dropout, and a norm if it has one."""

from __future__ import annotations

from torch import Tensor, nn

from textrnn.ops.dropout import dropout
from textrnn.ops.normalising import drop_and_normalise


def drop_and_normalise_by(norm: nn.LayerNorm | None, x: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Return what dropout of a share ``p`` leaves of ``x`` (N, D), and that by ``norm``; twice the same without one."""
    if norm is None:
        x = dropout(x, p)
        return x, x
    return drop_and_normalise(x, p, gain=norm.weight, bias=norm.bias, epsilon=norm.eps)
