"""AdamW over some rows, in C++."""

from __future__ import annotations

import pytest
import torch

from textrnn.ops.adamw import move_rows_natively
from textrnn.ops.sru import cpu

RATES = (0.9, 0.999, 0.98, 0.01, 3.0, 1e-8)


@pytest.mark.skipif(cpu.load_native().library is None, reason="the library was not compiled")
def test_moves_the_rows_and_no_others() -> None:
    torch.manual_seed(1)
    weight, mean, square = torch.randn(50, 33), torch.randn(50, 33), torch.rand(50, 33)
    rows, gradient = torch.tensor([0, 7, 49, 8]), torch.randn(4, 33)
    beta1, beta2, decay, step, root, epsilon = RATES
    m = beta1 * mean[rows].double() + (1 - beta1) * gradient.double()
    v = beta2 * square[rows].double() + (1 - beta2) * gradient.double() ** 2
    w = weight[rows].double() * decay - step * m / (v.sqrt() * root + epsilon)
    wanted = [whole.double().index_copy(0, rows, part) for whole, part in ((weight, w), (mean, m), (square, v))]
    for threads in (1, 3):
        of = [value.clone() for value in (weight, mean, square)]
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            assert move_rows_natively(of[0], mean=of[1], square=of[2], gradient=gradient, rows=rows, rates=RATES)
        finally:
            torch.set_num_threads(before)
        for got, exact in zip(of, wanted, strict=True):
            torch.testing.assert_close(got.double(), exact, rtol=1e-5, atol=1e-6)
    for wrong in ([50], [-1]):
        with pytest.raises(ValueError, match="among the 50"):
            move_rows_natively(
                weight, mean=mean, square=square, gradient=gradient[:1], rows=torch.tensor(wrong), rates=RATES
            )


def test_leaves_alone_what_it_does_not_compute() -> None:
    weight = torch.randn(5, 3, dtype=torch.float64)
    rest = {"mean": weight.clone(), "square": weight.clone(), "gradient": weight[:1], "rows": torch.tensor([1])}
    assert not move_rows_natively(weight, **rest, rates=RATES)
