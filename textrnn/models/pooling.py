"""Pooling: from the states of a sequence to one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.pooling import attend, pool


class SequencePool(nn.Module):
    """Pool each packed sequence; ``how`` is last, max, mean, max+mean or attention.

    ``last`` takes the last state of each direction: the last row for the first half of a bidirectional width, the first
    row for the second. ``attention`` weights the rows by the softmax of ``w . tanh(h)`` with a learned ``w`` (width,).
    ``max+mean`` gives twice the width. No sequence may be empty.
    """

    def __init__(self, how: str, width: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.how, self.split = how, width // 2 if bidirectional else width
        self.output_size = 2 * width if how == "max+mean" else width
        if how == "attention":
            self.w = nn.Parameter(torch.randn(width) / width**0.5)

    def forward(self, h: Tensor, layout: BatchLayout) -> Tensor:
        """Map ``h`` (N, width) to (B, output_size)."""
        offsets = layout.offsets
        if self.how == "last":
            return torch.cat([h[offsets[1:] - 1, : self.split], h[offsets[:-1], self.split :]], dim=1)
        if self.how == "attention":
            return attend(h, self.w, offsets)
        return pool(h, offsets, self.how)
