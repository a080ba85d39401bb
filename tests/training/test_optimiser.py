"""The schedule's shape, and which parameters decay."""

from __future__ import annotations

import pytest
import torch

from samples import make_config
from textrnn.layers.sru import SRU
from textrnn.training.optimiser import make_optimiser, make_schedule


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0.1), (100, 0.0), (7, 0.5), (1, 0.05)])
def test_the_rate_rises_and_falls_in_straight_lines(steps: int, warmup: float) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make_schedule(optimiser, steps=steps, warmup=warmup)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    rise = max(1, round(steps * warmup))
    assert rates[:rise] == pytest.approx([(i + 1) / rise for i in range(rise)])
    assert rates[rise:] == pytest.approx([(steps - i) / (steps - rise) for i in range(rise, steps)])
    assert schedule.get_last_lr()[0] == pytest.approx(0, abs=1e-12) or steps == 1


def test_vectors_do_not_decay() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    optimiser = make_optimiser(layer, make_config(train__weight_decay=0.5).train)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in layer.named_parameters()} == {
        "0.weight": 0.5,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
    }
    sru = SRU(4, 2, bidirectional=True)
    optimiser = make_optimiser(sru, make_config(train__weight_decay=0.5).train)
    decayed = [id(p) for group in optimiser.param_groups if group["weight_decay"] for p in group["params"]]
    assert decayed == [id(sru.weight)]  # v and b are no matrices, for all their three dimensions
