"""Dropout: the share, the scale, the same mask backwards, and nothing but torch's generator decides."""

from __future__ import annotations

import pytest
import torch

from textrnn.native import library
from textrnn.ops.dropout import drop_columns, dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_share_is_dropped_and_the_rest_scaled(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    x = torch.ones(1001, 303, dtype=dtype, requires_grad=True)
    y = dropout(x, p)
    assert y.dtype == dtype
    kept = y != 0
    assert float(kept.double().mean()) == pytest.approx(1 - p, abs=4 * (p * (1 - p) / x.numel()) ** 0.5)
    torch.testing.assert_close(y[kept], torch.full_like(y[kept], 1 / (1 - p)))
    # rows and columns are no more alike than chance has it
    for axis in (0, 1):
        shares = kept.double().mean(axis)
        assert float(shares.std()) == pytest.approx((p * (1 - p) / x.shape[axis]) ** 0.5, rel=0.2)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y)


def test_neighbours_are_independent() -> None:
    torch.manual_seed(2)
    kept = (dropout(torch.ones(4_000_000), 0.5) != 0).double() * 2 - 1
    for distance in (1, 2, 3, 16, 64, 256, 4096):
        assert abs(float((kept[:-distance] * kept[distance:]).mean())) < 5 / 2000


def test_the_generator_decides() -> None:
    x = torch.ones(100, 7)

    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.stack([dropout(x, 0.5), dropout(x, 0.5)])

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    first, second = draw(1)
    assert not torch.equal(first, second)


def test_threads_do_not_matter() -> None:
    x = torch.randn(70_001)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            torch.manual_seed(5)
            results.append(dropout(x, 0.3))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_none_is_dropped_at_zero_and_any_layout_will_do() -> None:
    x = torch.randn(30, 20)
    assert torch.equal(dropout(x, 0.0), x)
    turned = x.T
    torch.manual_seed(3)
    y = dropout(turned, 0.5)
    kept = y != 0
    torch.testing.assert_close(y[kept], 2 * turned[kept])


@pytest.mark.skipif(library.load_native().library is None, reason="the library was not compiled")
def test_counters_beyond_32_bits_are_others() -> None:
    lib = library.load_native().library
    assert lib is not None
    x = torch.ones(64)
    y = torch.zeros(64)
    assert lib.textrnn_dropout(4, x.data_ptr(), y.data_ptr(), 64, 0.5, 7, 1) == 0
    z = torch.zeros(64)
    assert lib.textrnn_dropout(4, x.data_ptr(), z.data_ptr(), 64, 0.5, 7 + (1 << 40), 1) == 0
    assert not torch.equal(y, z)  # the upper half of the key counts


def test_columns_are_dropped_in_all_rows_of_a_sequence() -> None:
    torch.manual_seed(3)
    x, offsets = torch.rand(90, 400) + 1, torch.tensor([0, 1, 40, 40, 90])
    y = drop_columns(x, 0.3, offsets)
    masks = []
    for start, end in ((0, 1), (1, 40), (40, 90)):
        kept = y[start:end] != 0
        assert (kept == kept[0]).all()
        torch.testing.assert_close(y[start:end], x[start:end] * kept / 0.7)
        masks.append(kept[0])
        assert float(kept[0].double().mean()) == pytest.approx(0.7, abs=0.1)
    assert not torch.equal(masks[1], masks[2])
    assert drop_columns(x, 0.0, offsets) is x
