"""What stands before a recurrent layer: dropout, and a norm if it has one."""

from __future__ import annotations

from torch import Tensor, nn

from textrnn.ops.dropout import drop_columns, dropout
from textrnn.ops.layer_norm import dropout_layer_norm


def dropout_norm(
    norm: nn.LayerNorm | None, x: Tensor, p: float, *, variational: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return what dropout of a share ``p`` leaves of ``x`` (N, D), and that by ``norm``; twice the same without one.

    ``variational``, the offsets of the sequences, has the same columns dropped in all rows of one.
    """
    if variational is not None:
        x, p = drop_columns(x, p, variational), 0.0
    if norm is None:
        x = dropout(x, p)
        return x, x
    return dropout_layer_norm(x, p, gain=norm.weight, bias=norm.bias, epsilon=norm.eps)
