"""The largest, the mean and the mean that attends over packed sequences, against torch, with gradients."""

from __future__ import annotations

import pytest
import torch

from textrnn.native import library
from textrnn.ops import pooling
from textrnn.ops.pooling import attend, pool

OFFSETS = torch.tensor([0, 1, 4, 11, 12])
needs_library = pytest.mark.skipif(library.load_native().library is None, reason="the library was not compiled")


@pytest.mark.parametrize("how", ["max", "mean", "max+mean"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("D", [1, 7, 64, 130])
def test_equals_torch(how: str, dtype: torch.dtype, D: int) -> None:
    torch.manual_seed(D)
    distinct = torch.stack([torch.randperm(12) for _ in range(D)], dim=1) / 4 - 1  # in bfloat16 too
    h = distinct.to(dtype).requires_grad_()
    exact = h.detach().double().requires_grad_()
    parts = {
        "max": torch.stack([exact[a:b].amax(0) for a, b in zip(OFFSETS[:-1], OFFSETS[1:], strict=True)]),
        "mean": torch.stack([exact[a:b].mean(0) for a, b in zip(OFFSETS[:-1], OFFSETS[1:], strict=True)]),
    }
    wanted = torch.cat([parts[name] for name in how.split("+")], dim=1)
    got = pool(h, OFFSETS, how)
    upstream = torch.randn(wanted.shape).bfloat16()
    tolerance = {"rtol": 0, "atol": 0.02 if dtype == torch.bfloat16 else 1e-5}
    torch.testing.assert_close(got.double(), wanted, **tolerance)
    (dh,) = torch.autograd.grad(got, h, upstream.to(got.dtype))
    (dexact,) = torch.autograd.grad(wanted, exact, upstream.double())
    assert dh.dtype == dtype
    torch.testing.assert_close(dh.double(), dexact, **tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("D", [1, 7, 64, 130])
@pytest.mark.parametrize("scale", [0.3, 60.0])  # of the scores: some of these weights are as good as 0
def test_attention_equals_the_formula(dtype: torch.dtype, D: int, scale: float) -> None:
    torch.manual_seed(D)
    h = torch.randn(12, D).to(dtype).requires_grad_()
    w = (scale * torch.randn(D)).to(torch.float64 if dtype == torch.float64 else torch.float32).requires_grad_()
    exact, exact_w = (tensor.detach().double().requires_grad_() for tensor in (h, w))
    parts = [exact[a:b] for a, b in zip(OFFSETS[:-1], OFFSETS[1:], strict=True)]
    wanted = torch.stack([torch.softmax(torch.tanh(rows) @ exact_w, dim=0) @ rows for rows in parts])
    got = attend(h, w, OFFSETS)
    upstream = torch.randn(wanted.shape)
    found = torch.autograd.grad(got, (h, w), upstream.to(got.dtype))
    correct = torch.autograd.grad(wanted, (exact, exact_w), upstream.double())
    assert [gradient.dtype for gradient in found] == [dtype, w.dtype]
    tolerance = {"rtol": 0.01, "atol": 0.01} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    for mine, right in zip((got, *found), (wanted, *correct), strict=True):
        torch.testing.assert_close(mine.double(), right, **tolerance)


@pytest.mark.parametrize("way", [pytest.param("library", marks=needs_library), "torch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("T", [63, 257, 700])
def test_attention_over_long_sequences(way: str, dtype: torch.dtype, T: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "torch":
        monkeypatch.setattr(pooling, "is_native", lambda *tensors: False)
    torch.manual_seed(T)
    h, w = (torch.randn(T, 16) + 1).to(dtype), torch.randn(16)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        got = attend(h, w, torch.tensor([0, T]))
    wanted = torch.softmax(torch.tanh(h.double()) @ w.double(), dim=0) @ h.double()
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), wanted[None], rtol=1e-5, atol=1e-5)


def test_attention_needs_a_weight_for_each_column() -> None:
    with pytest.raises(ValueError, match=r"h should be \(N, D\) and w \(D,\), not \(6, 8\) and \(3,\)"):
        attend(torch.ones(6, 8), torch.ones(3), torch.tensor([0, 6]))


@needs_library
def test_of_equal_entries_the_first_gets_the_gradient() -> None:
    h = torch.ones(3, 2, requires_grad=True)
    (dh,) = torch.autograd.grad(pool(h, torch.tensor([0, 3]), "max").sum(), h)
    assert dh.tolist() == [[1, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize("row", [0, 1, 2])
def test_what_is_no_number_shows(row: int) -> None:
    h = torch.zeros(3, 2)
    h[row, 1] = float("nan")
    pooled = pool(h, torch.tensor([0, 3]), "max+mean")
    assert pooled.isnan().tolist() == [[False, True, False, True]]
    assert attend(h, torch.ones(2), torch.tensor([0, 3]))[0, 1].isnan()
    assert attend(torch.ones(3, 2), torch.tensor([1, float("nan")]), torch.tensor([0, 3])).isnan().all()


@needs_library
@pytest.mark.parametrize("offsets", [[0, 0, 3], [0, 2], [1, 3], [0, 4], [0, 2, 1, 3]], ids=str)
def test_wrong_offsets_are_refused(offsets: list[int]) -> None:
    for refused in (lambda h, at: pool(h, at, "max+mean"), lambda h, at: attend(h, torch.ones(2), at)):
        with pytest.raises(ValueError, match="offsets should rise"):
            refused(torch.zeros(3, 2), torch.tensor(offsets))


@needs_library
def test_any_layout_and_any_number_of_threads_will_do() -> None:
    h = torch.randn(5, 12).T
    wanted = pool(h.contiguous(), OFFSETS, "max+mean")
    attended = attend(h.contiguous(), h[0].contiguous(), OFFSETS)
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            assert torch.equal(pool(h, OFFSETS, "max+mean"), wanted)
            assert torch.equal(attend(h, h[0], OFFSETS), attended)
    finally:
        torch.set_num_threads(before)
