"""GRU and LSTM over packed rows against torch on each sequence alone, and the GRU against its formulas."""

from __future__ import annotations

import pytest
import torch

from textrnn.models.rnn import PackedRNN
from textrnn.ops.batch_layout import BatchLayout

OFFSETS = torch.tensor([0, 3, 8, 9, 14])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_batch_gives_what_each_sequence_gives_alone(cell: str, bidirectional: bool, layer_norm: bool) -> None:
    torch.manual_seed(1)
    layer = PackedRNN(cell, 5, 4, bidirectional=bidirectional, layer_norm=layer_norm)
    x = torch.randn(14, 5)
    got = layer(x, BatchLayout(OFFSETS))
    assert got.shape == (14, layer.output_size)
    for start, stop in zip(OFFSETS[:-1], OFFSETS[1:], strict=True):
        part = x[start:stop] if layer.norm is None else layer.norm(x[start:stop])
        torch.testing.assert_close(got[start:stop], layer.rnn(part)[0])


def test_gru_follows_its_formulas() -> None:
    torch.manual_seed(2)
    layer = PackedRNN("gru", 3, 4)
    x = torch.randn(6, 3)
    weights = dict(layer.rnn.named_parameters())
    w_r, w_z, w_n = weights["weight_ih_l0"].chunk(3)
    u_r, u_z, u_n = weights["weight_hh_l0"].chunk(3)
    b_r, b_z, b_n = weights["bias_ih_l0"].chunk(3)
    d_r, d_z, d_n = weights["bias_hh_l0"].chunk(3)
    h = torch.zeros(4)
    states = []
    for x_t in x:
        r = torch.sigmoid(w_r @ x_t + b_r + u_r @ h + d_r)
        z = torch.sigmoid(w_z @ x_t + b_z + u_z @ h + d_z)
        n = torch.tanh(w_n @ x_t + b_n + r * (u_n @ h + d_n))
        h = (1 - z) * n + z * h
        states.append(h)
    torch.testing.assert_close(layer(x, BatchLayout(torch.tensor([0, 6]))), torch.stack(states))
