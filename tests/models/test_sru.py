"""The SRU layer: its product, its highway and its initialization."""

from __future__ import annotations

import math

import pytest
import torch

from textrnn.models.sru import SRU
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru.recurrence import sru_recurrence

LAYOUT = BatchLayout(torch.tensor([0, 3, 3, 8]))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("input_size", [6, 12])
def test_the_layer_is_a_product_and_a_recurrence(bidirectional: bool, input_size: int) -> None:
    torch.manual_seed(1)
    layer = SRU(input_size, 6, bidirectional=bidirectional, highway_bias=-1.0)
    x = torch.randn(8, input_size)
    K = 2 if bidirectional else 1
    u = (x @ layer.weight).view(8, K, -1, 6)
    narrow = input_size == K * 6
    assert layer.blocks == u.shape[2] == (3 if narrow else 4)
    h, _ = sru_recurrence(
        u,
        x.view(8, K, 6) if narrow else None,
        LAYOUT,
        v=layer.v,
        b=layer.b,
        alpha=math.sqrt(1 + 2 * math.exp(-1.0)),
    )
    torch.testing.assert_close(layer(x, LAYOUT), h.view(8, K * 6))


def test_layer_norm_does_not_change_the_highway() -> None:
    layer = SRU(6, 6, layer_norm=True)
    with torch.no_grad():
        layer.b[:, 1] = -1000.0  # the reset gate is closed: only the highway passes
    x = 5 + 3 * torch.randn(8, 6)
    torch.testing.assert_close(layer(x, LAYOUT), layer.alpha * x)


def test_initial_variances_are_those_of_the_paper() -> None:
    torch.manual_seed(2)
    layer = SRU(200, 128, bidirectional=True, highway_bias=-2.0)
    blocks = layer.weight.view(200, 2, 4, 128)
    alpha = math.sqrt(1 + 2 * math.exp(-2.0))
    for index, expected in enumerate([1 / 200, 0.5 / 200, 0.5 / 200, alpha**2 / 200]):
        assert blocks[:, :, index].var().item() == pytest.approx(expected, rel=0.05)
    assert layer.v.var().item() == pytest.approx(0.5, rel=0.15)  # 512 values
    assert layer.b[:, 0].tolist() == torch.zeros(2, 128).tolist()
    assert layer.b[:, 1].tolist() == torch.full((2, 128), -2.0).tolist()


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_stacks_keep_the_scale_and_pass_gradients(depth: int) -> None:
    torch.manual_seed(3)
    layers = [SRU(64, 32, bidirectional=True, highway_bias=-2.0) for _ in range(depth)]
    x = torch.randn(400, 64, requires_grad=True)
    layout = BatchLayout(torch.arange(0, 401, 20))
    h = x
    for layer in layers:
        h = layer(h, layout)
    assert 0.5 < h.std().item() < 2.0
    h.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for layer in layers for p in layer.parameters())
    assert x.grad is not None
    assert bool((x.grad.abs().sum(dim=1) > 0).all())
