"""AdamW, and a learning rate that rises and then falls in straight lines."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from textrnn.config import TrainConfig


def make_optimiser(model: nn.Module, config: TrainConfig) -> AdamW:
    """Return AdamW (Loshchilov and Hutter 2019) over ``model``; only matrices are decayed, not biases,
    norms, or the vectors of SRU's gates."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() == 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() != 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=config.lr, fused=next(iter(parameters)).device.type in ("cpu", "cuda"))


def make_schedule(optimiser: Optimizer, *, steps: int, warmup: float) -> LambdaLR:
    """Return a schedule over ``steps``: up from near 0 in the share ``warmup`` of them, then down to 0."""
    rise = max(1, round(steps * warmup))

    def factor(step: int) -> float:
        return min((step + 1) / rise, max(0.0, (steps - step) / max(1, steps - rise)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
