"""Dropout and layer norm in one pass equal torch's layer norm of the dropout, with its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from textrnn.native import library
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.dropout import dropout, dropout_columns
from textrnn.ops.layer_norm import dropout_layer_norm

pytestmark = pytest.mark.skipif(not library.is_available(), reason="the library was not compiled")


def draw(N: int, D: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    torch.manual_seed(N + D)
    x = (torch.randn(N, D) * 2 + 1).to(dtype)
    return [t.requires_grad_() for t in (x, torch.rand(D) + 0.5, torch.randn(D))]


@pytest.mark.parametrize("D", [1, 3, 32, 100, 256, 515])
@pytest.mark.parametrize("N", [1, 63, 64, 200])
@pytest.mark.parametrize("how", ["entries", "columns", "none"])
def test_equals_torch_s_norm_of_the_dropout(N: int, D: int, how: str) -> None:
    results, p = [], 0.0 if how == "none" else 0.4
    offsets = torch.tensor([0, 0, N // 2, N]) if how == "columns" else None
    for is_fused in (True, False):
        x, gain, bias = draw(N, D)
        torch.manual_seed(7)
        if is_fused:
            layout = None if offsets is None else BatchLayout(offsets)
            y, n = dropout_layer_norm(x, p, gain=gain, bias=bias, epsilon=1e-5, layout=layout)
        else:
            y = dropout(x, p) if offsets is None else dropout_columns(x, p, offsets)
            n = functional.layer_norm(y.double(), (D,), gain.double(), bias.double(), 1e-5)
        weights = [torch.cos(torch.arange(N * D) * k).view(N, D) for k in (0.3, 0.7)]
        gradients = torch.autograd.grad((y * weights[0]).sum() + (n * weights[1]).sum(), (x, gain, bias))
        results.append((y.detach(), n.detach(), *gradients))
    assert torch.equal(results[0][0], results[1][0])
    for mine, exact in zip(*results, strict=True):
        torch.testing.assert_close(
            mine.double(), exact.double(), rtol=1e-4, atol=2e-5 * max(1.0, float(exact.abs().max()))
        )


@pytest.mark.parametrize("p", [0.0, 0.4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_under_autocast_both_are_in_its_dtype(dtype: torch.dtype, p: float) -> None:
    x, gain, bias = draw(70, 96, dtype)
    torch.manual_seed(7)
    with torch.autocast("cpu", torch.bfloat16):
        y, n = dropout_layer_norm(x, p, gain=gain, bias=bias, epsilon=1e-5)
    assert y.dtype == n.dtype == torch.bfloat16
    torch.manual_seed(7)
    wide = x.detach().float().requires_grad_()
    dropped = dropout(wide, p)
    exact = functional.layer_norm(dropped, (96,), gain, bias, 1e-5)
    torch.testing.assert_close(y.float(), dropped, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(n.float(), exact, rtol=2e-2, atol=5e-2)
    weight = torch.randn(70, 96)
    mine = torch.autograd.grad((n.float() * weight).sum(), (x, gain, bias))
    wanted = torch.autograd.grad((exact * weight).sum(), (wide, gain, bias))
    assert [g.dtype for g in mine] == [dtype, torch.float32, torch.float32]
    for got, expected in zip(mine, wanted, strict=True):
        torch.testing.assert_close(got.float(), expected, rtol=5e-2, atol=0.02 * float(expected.abs().max()))


def test_threads_do_not_matter() -> None:
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            x, gain, bias = draw(300, 130)
            torch.manual_seed(7)
            y, n = dropout_layer_norm(x, 0.4, gain=gain, bias=bias, epsilon=1e-5)
            results.append((y, n, *torch.autograd.grad((y * n).sum(), (x, gain, bias))))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_the_gradient_of_one_output_alone() -> None:
    for index in (0, 1):
        x, gain, bias = draw(5, 8)
        torch.manual_seed(7)
        result = dropout_layer_norm(x, 0.4, gain=gain, bias=bias, epsilon=1e-5)[index]
        (mine,) = torch.autograd.grad(result.square().sum(), x)
        torch.manual_seed(7)
        y = dropout(x, 0.4)
        plain = y if index == 0 else functional.layer_norm(y, (8,), gain, bias, 1e-5)
        torch.testing.assert_close(mine, torch.autograd.grad(plain.square().sum(), x)[0], rtol=1e-4, atol=1e-4)
