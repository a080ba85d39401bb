"""Learning-rate schedules."""

from __future__ import annotations

import math


def rate_factor(step: int, *, steps: int, warmup: float, schedule: str = "linear") -> float:
    """Return the factor in [0, 1] of the highest learning rate for ``step`` (from 0) of ``steps``.

    The rate rises linearly from near 0 during the first ``warmup`` (a fraction) of the steps. Then it falls to 0
    linearly (``linear``) or as half a cosine (``cosine``, Loshchilov and Hutter 2017), or stays (``constant``).
    ``one-cycle`` rises from 1/25 and falls to 1/250,000, both as half a cosine (Smith and Topin 2019; equal to
    ``torch.optim.lr_scheduler.OneCycleLR``).
    """
    rise = max(1, round(steps * warmup))
    up, down = min(1.0, (step + 1) / rise), min(1.0, max(0.0, (step - rise) / max(1, steps - rise)))
    if schedule == "one-cycle":
        low, turn = (0.04, up) if step < rise else (0.04 / 1e4, 1 - down)
        return low + (1 - low) * (1 - math.cos(math.pi * turn)) / 2
    if schedule == "cosine":
        return up * (1 + math.cos(math.pi * down)) / 2
    return up if schedule == "constant" else min(up, 1 - down)
