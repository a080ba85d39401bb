"""AdamW over whole tensors and over some rows, in C++."""

from __future__ import annotations

import pytest
import torch

from textrnn.native import library
from textrnn.ops.adamw import NativeStep, ParameterState

pytestmark = pytest.mark.skipif(not library.is_available(), reason="the library was not compiled")
RATES = {"lr": 0.01, "scale": 0.5, "betas": (0.9, 0.999), "epsilon": 1e-8, "steps": 3}


def draw(*shape: int, decay: float = 0.0) -> ParameterState:
    return ParameterState(torch.randn(shape), torch.randn(shape), torch.rand(shape), decay)


def move_exactly(moved: ParameterState, rows: torch.Tensor, gradient: torch.Tensor) -> list[torch.Tensor]:
    (beta1, beta2), lr = RATES["betas"], RATES["lr"]
    g = gradient.double() * RATES["scale"]
    m = beta1 * moved.mean[rows].double() + (1 - beta1) * g
    v = beta2 * moved.square[rows].double() + (1 - beta2) * g**2
    change = lr / (1 - beta1**3) * m / ((v / (1 - beta2**3)).sqrt() + RATES["epsilon"])
    w = moved.weight[rows].double() * (1 - lr * moved.decay) - change
    of = (moved.weight, moved.mean, moved.square)
    return [whole.double().index_copy(0, rows, part) for whole, part in zip(of, (w, m, v), strict=True)]


def test_moves_the_rows_and_no_others_and_whole_tensors() -> None:
    torch.manual_seed(1)
    # a matrix by rows, a wide one of several tasks, and a tensor of three dimensions
    parts = [draw(50, 33, decay=0.1), draw(300, 100, decay=0.2), draw(2, 2, 7)]
    rows, whole = torch.tensor([0, 7, 49, 8]), torch.arange(300)
    gradients = [torch.randn(4, 33), torch.randn(100, 300).T, torch.randn(2, 2, 7)]
    wanted = [move_exactly(p, r, g) for p, r, g in zip(parts, (rows, whole, whole[:2]), gradients, strict=True)]
    norm = torch.cat([g.double().flatten() for g in gradients]).norm()
    before = torch.get_num_threads()
    found = []
    for threads in (1, 3):
        copies = [ParameterState(p.weight.clone(), p.mean.clone(), p.square.clone(), p.decay) for p in parts]
        torch.set_num_threads(threads)
        try:
            step = NativeStep(list(zip(copies, gradients, (rows, None, None), strict=True)))
            found.append(step.norm())
            step.move(**RATES)
        finally:
            torch.set_num_threads(before)
        for copy, exact in zip(copies, wanted, strict=True):
            for got, value in zip((copy.weight, copy.mean, copy.square), exact, strict=True):
                torch.testing.assert_close(got.double(), value, rtol=1e-5, atol=1e-6)
    assert found[0] == found[1] == pytest.approx(float(norm), rel=1e-6)


def test_refuses_rows_outside_the_matrix() -> None:
    for wrong in ([50], [-1]):
        with pytest.raises(ValueError, match="rows"):
            NativeStep([(draw(50, 3), torch.randn(1, 3), torch.tensor(wrong))]).move(**RATES)


def test_is_for_float32_on_the_cpu() -> None:
    assert draw(5, 3).is_native
    assert not ParameterState(*(torch.ones(5, 3, dtype=torch.float64) for _ in range(3)), decay=0.0).is_native
