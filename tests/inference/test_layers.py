"""The numpy layers, used without the C++ library, equal those of the library."""

from __future__ import annotations

import numpy as np
import pytest

from samples import make_config
from textrnn.inference.layers import Packing, make_layer
from textrnn.native import library
from textrnn.ops import rnn_forward

TOLERANCE = 2e-6  # states are below 1: float32 rounding, in another order of additions


@pytest.mark.skipif(not library.is_available(), reason="the library was not compiled")
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("by_rows", [False, True])
def test_numpy_equals_the_library(
    monkeypatch: pytest.MonkeyPatch, cell: str, bidirectional: bool, by_rows: bool
) -> None:
    rng = np.random.default_rng(1)
    D, gates = 12, rnn_forward.GATES[cell]
    G = gates * D
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (G, 9), "weight_hh": (G, D), "bias_ih": (G,), "bias_hh": (G,)}
    ends = ("l0", "l0_reverse") if bidirectional else ("l0",)
    weights = {
        f"rnn.{name}_{end}": rng.uniform(-0.3, 0.3, shape).astype(np.float32)
        for name, shape in shapes.items()
        for end in ends
    }
    config = make_config(model__cell=cell, model__bidirectional=bidirectional, model__layer_norm=False).model
    layer = make_layer(weights, config, "fp32")
    offsets = np.array([0, 3, 4, 21, 23])
    rows = rng.integers(0, 7, 23).astype(np.int32) if by_rows else None
    x = rng.standard_normal((7 if by_rows else 23, 9)).astype(np.float32)
    got = layer.forward(x, Packing(offsets, rows), threads=1)
    monkeypatch.setattr(library, "is_available", lambda: False)
    expected = layer.forward(x, Packing(offsets, rows), threads=1)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)
