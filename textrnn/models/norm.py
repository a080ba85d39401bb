"""Dropout and layer normalization before a recurrent layer."""

from __future__ import annotations

from torch import Tensor, nn

from textrnn.ops.dropout import dropout, dropout_columns
from textrnn.ops.layer_norm import dropout_layer_norm


def dropout_norm(
    norm: nn.LayerNorm | None, x: Tensor, p: float, *, variational: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the dropout of ``x`` (N, D), and the ``norm`` of that, or twice the same without a norm.

    ``variational`` is None, or the offsets of the sequences, which then lose the same columns in all of their rows.
    """
    if norm is not None:
        return dropout_layer_norm(x, p, gain=norm.weight, bias=norm.bias, epsilon=norm.eps, offsets=variational)
    x = dropout(x, p) if variational is None else dropout_columns(x, p, variational)
    return x, x
