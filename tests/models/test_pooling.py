"""Pooling against its definition on each sequence alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from textrnn.models.pooling import SequencePool
from textrnn.ops.batch_layout import BatchLayout

LAYOUT = BatchLayout(torch.tensor([0, 3, 4, 9]))


def pool_one(pool: SequencePool, rows: Tensor, bidirectional: bool) -> Tensor:
    if pool.how == "last":
        return torch.cat([rows[-1, :3], rows[0, 3:]]) if bidirectional else rows[-1]
    if pool.how == "attention":
        return torch.softmax(torch.tanh(rows) @ pool.w, dim=0) @ rows
    parts = {"max": rows.max(dim=0).values, "mean": rows.mean(dim=0)}
    return torch.cat([parts[name] for name in pool.how.split("+")])


@pytest.mark.parametrize("how", ["last", "max", "mean", "max+mean", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_batch_gives_what_each_sequence_gives_alone(how: str, bidirectional: bool) -> None:
    torch.manual_seed(1)
    pool = SequencePool(how, 6, bidirectional=bidirectional)
    h = (10 * torch.randn(9, 6, dtype=torch.float64)).requires_grad_()
    pool.double()
    got = pool(h, LAYOUT)
    assert got.shape == (3, pool.output_size)
    expected = torch.stack([pool_one(pool, rows, bidirectional) for rows in h.split([3, 1, 5])])
    torch.testing.assert_close(got, expected)
    (gradient,) = torch.autograd.grad(got.square().sum(), h, retain_graph=True)
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), h)
    torch.testing.assert_close(gradient, expected_gradient)
