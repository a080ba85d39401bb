"""Random inputs of the SRU recurrence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from textrnn.ops.batch_layout import BatchLayout


def make_inputs(
    lengths: list[int], *, K: int = 2, G: int = 3, D: int = 16, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """Return the arguments of ``sru_recurrence``, u and x in ``dtype``, the others at least in float32."""
    generator = torch.Generator().manual_seed(7 + sum(lengths) + 10 * D + G + K)
    N, B, wide = sum(lengths), len(lengths), torch.promote_types(dtype, torch.float32)

    def draw(*shape: int, dtype: torch.dtype = wide, scale: float = 1.0) -> Tensor:
        return (scale * torch.randn(*shape, generator=generator, dtype=wide)).to(dtype).requires_grad_()

    return {
        "u": draw(N, K, G, D, dtype=dtype),
        "x": draw(N, K, D, dtype=dtype) if G == 3 else None,
        "layout": BatchLayout(torch.tensor([0, *lengths]).cumsum(0)),
        "v": draw(K, 2, D, scale=0.4),  # below 1: rounding does not grow from step to step
        "b": draw(K, 2, D),
        "alpha": 1.7,
        "c0": draw(B, K, D).detach(),
    }
