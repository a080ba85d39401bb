"""Rows of a matrix: their gradients are added up as torch adds them."""

from __future__ import annotations

import pytest
import torch

from textrnn.ops.embedding import take_rows


@pytest.mark.parametrize(("R", "N", "D"), [(1, 1, 1), (7, 0, 5), (50, 300, 33), (200, 100, 256), (65, 1000, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gradients_are_those_of_an_embedding(R: int, N: int, D: int, dtype: torch.dtype) -> None:
    torch.manual_seed(R)
    table, places = torch.randn(R, D, dtype=dtype, requires_grad=True), torch.randint(R, (N,))
    weight = torch.randn(N, D, dtype=dtype)
    mine, exact = take_rows(table, places), torch.nn.functional.embedding(places, table.double())
    assert torch.equal(mine, table[places])
    (got,), (wanted,) = (torch.autograd.grad((x * weight).sum(), table) for x in (mine, exact))
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def test_threads_do_not_matter_and_wrong_places_are_refused() -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(1)
            table, places = torch.randn(300, 9, requires_grad=True), torch.randint(300, (5000,))
            found.append(torch.autograd.grad((take_rows(table, places) * torch.randn(5000, 9)).sum(), table)[0])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
    with pytest.raises(IndexError):
        take_rows(torch.randn(3, 2, requires_grad=True), torch.tensor([3]))
