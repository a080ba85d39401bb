"""Dropout: share, scale, the same mask in both passes, and masks that follow torch's generator."""

from __future__ import annotations

import pytest
import torch

from textrnn.native import functions, library
from textrnn.ops.dropout import drop_masked, dropout, dropout_columns

needs_library = pytest.mark.skipif(not library.is_available(), reason="the library was not compiled")


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
    # rows and columns differ as much as chance
    for axis in (0, 1):
        shares = kept.double().mean(axis)
        assert float(shares.std()) == pytest.approx((p * (1 - p) / x.shape[axis]) ** 0.5, rel=0.2)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y)


def test_neighbors_are_independent() -> None:
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


def test_zero_drops_nothing_and_any_layout_works() -> None:
    x = torch.randn(30, 20)
    assert torch.equal(dropout(x, 0.0), x)
    turned = x.T
    torch.manual_seed(3)
    y = dropout(turned, 0.5)
    kept = y != 0
    torch.testing.assert_close(y[kept], 2 * turned[kept])


@needs_library
def test_the_upper_half_of_the_key_counts() -> None:
    x, y, z = torch.ones(64), torch.zeros(64), torch.zeros(64)
    functions.dropout(x=x, y=y, keep=0.5, key=7, threads=1)
    functions.dropout(x=x, y=z, keep=0.5, key=7 + (1 << 40), threads=1)
    assert not torch.equal(y, z)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_columns_are_dropped_in_all_rows_of_a_sequence(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    x, offsets = (torch.rand(90, 400) + 1).to(dtype).requires_grad_(), torch.tensor([0, 1, 40, 40, 90])
    y = dropout_columns(x, 0.3, offsets)
    kept = torch.stack([y[row] != 0 for row in (0, 1, 0, 40)])  # the third sequence is empty
    assert float(kept.double().mean()) == pytest.approx(0.7, abs=0.05)
    assert not torch.equal(kept[1], kept[3])
    exact = drop_masked(x, kept, offsets, keep=0.7)
    torch.testing.assert_close(y, exact.to(dtype))
    weight = torch.randn(90, 400).to(dtype)
    gradients = [torch.autograd.grad((result * weight).sum(), x)[0] for result in (y, exact)]
    torch.testing.assert_close(*gradients)
    assert dropout_columns(x, 0.0, offsets) is x


@needs_library
def test_masks_of_sequences_are_independent_and_follow_the_key_alone() -> None:
    x, offsets = torch.ones(4000, 64), torch.arange(0, 4001, 2)
    results = []
    for threads in (1, 3):
        y = torch.empty_like(x)
        functions.dropout(x=x, y=y, keep=0.5, key=11, offsets=offsets, threads=threads)
        results.append(y)
    assert torch.equal(*results)
    signs = results[0][::2] - 1  # a row for each sequence
    for axis in (0, 1):
        turned = signs.T if axis else signs
        assert abs(float((turned[:-1] * turned[1:]).mean())) < 5 / (2000 * 64) ** 0.5
        assert float(signs.mean(axis).std()) == pytest.approx(signs.shape[axis] ** -0.5, rel=0.25)
