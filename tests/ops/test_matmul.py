"""Products of matrices: the C++ library's against float64, and what the layer asks of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from textrnn.native import functions, library
from textrnn.ops.matmul import multiply

OURS = [dtype for dtype in (torch.float32, torch.bfloat16) if library.supports_dtype(dtype)]
needs_ours = pytest.mark.skipif(not OURS, reason="the library multiplies with AVX-512 only")
# relative to the sum of the products' absolute values: every addition rounds to 24 bits, and a result to its own
ROUNDING = {torch.float32: 2.0**-24, torch.bfloat16: 2.0**-8}
SIZES = [
    *[(1, 1, 1), (1, 33, 5), (13, 16, 1), (14, 32, 2), (15, 17, 3), (28, 64, 48), (29, 100, 129), (100, 513, 77)],
    *[(300, 70, 900), (1100, 40, 33), (5, 4, 0), (0, 3, 2), (3, 0, 2)],
]


def draw(rows: int, columns: int, dtype: torch.dtype, *, across: bool = False) -> Tensor:
    matrix = torch.randn(columns, rows).T if across else torch.randn(rows, columns)
    return matrix.to(dtype)


@needs_ours
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", OURS, ids=str)
def test_equals_float64(size: tuple[int, int, int], dtype: torch.dtype) -> None:
    torch.manual_seed(sum(size))
    M, N, K = size
    for a_across, b_across, out in product((False, True), (False, True), {dtype, torch.float32}):
        a, b = draw(M, K, dtype, across=a_across), draw(K, N, dtype, across=b_across)
        before = torch.randn(M, N).to(out)
        exact = a.double() @ b.double()
        allowed = (
            1e-30 + (a.double().abs() @ b.double().abs() + before.double().abs()) * (K + 2) * ROUNDING[torch.float32]
        )
        for accumulate in (False, True):
            wanted = exact + before.double() if accumulate else exact
            results = []
            for threads in (1, 2, 5):
                c = before.clone() if accumulate else torch.full((M, N), float("nan"), dtype=out)
                functions.gemm(a=a, b=b, c=c, accumulate=accumulate, threads=threads)
                results.append(c)
            error = (results[0].double() - wanted).abs()
            assert bool((error <= allowed + ROUNDING[out] * wanted.abs()).all())
            assert all(torch.equal(results[0], other) for other in results[1:])


@needs_ours
@pytest.mark.parametrize("dtype", OURS, ids=str)
def test_an_entry_does_not_depend_on_the_others(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    a, b = draw(200, 500, dtype), draw(500, 130, dtype)
    whole = multiply(a, b)
    for rows, columns in (
        (slice(0, 1), slice(0, 130)),
        (slice(77, 120), slice(31, 98)),
        (slice(199, 200), slice(5, 6)),
    ):
        assert torch.equal(multiply(a[rows], b[:, columns]), whole[rows, columns])


@needs_ours
def test_any_strides_and_any_array() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((60, 40), np.float32)[::-2, 1::3], rng.standard_normal((13, 90), np.float32)[:, ::-2]
    c = np.full((30, 100), np.nan, np.float32)
    functions.gemm(a=a, b=b, c=c[:, 10:55], threads=2)
    np.testing.assert_allclose(c[:, 10:55], a.astype(np.float64) @ b, rtol=0, atol=1e-5)
    assert np.isnan(c[:, :10]).all()
    assert np.isnan(c[:, 55:]).all()


@needs_ours
@pytest.mark.parametrize("K", [70, 71])
@pytest.mark.parametrize("column", [0, -1])
@pytest.mark.parametrize("dtype", OURS, ids=str)
def test_what_is_no_number_stays_in_its_row_and_column(dtype: torch.dtype, column: int, K: int) -> None:
    a, b = torch.ones(40, K, dtype=dtype), torch.ones(K, 50, dtype=dtype)
    a[3, column], b[2, 40] = float("nan"), float("inf")
    for c in (multiply(a, b), multiply(a, b, dtype=torch.float32)):
        assert bool(c[3].isnan().all())
        assert int(c.isnan().sum()) == 50
        assert int(c[:, 40].isinf().sum()) == 39
        assert int((~c.isfinite()).sum()) == 50 + 39


@needs_ours
def test_a_result_in_bfloat16_is_rounded_once_to_nearest() -> None:
    if not library.supports_dtype(torch.bfloat16):
        pytest.skip("no products of bfloat16 here")
    torch.manual_seed(1)
    a, b = draw(100, 65, torch.bfloat16), draw(65, 90, torch.bfloat16)
    assert torch.equal(multiply(a, b), multiply(a, b, dtype=torch.float32).bfloat16())
    a = torch.tensor([[1.0], [1.0], [3.0]]).bfloat16()
    b = torch.tensor([[1.0, 2.0**-8]]).bfloat16()
    halves = multiply(torch.cat([a, a], 1), torch.cat([b, b.flip(1)]))  # 1 + 2^-8 lies between two: the even one is 1
    assert halves[:2].tolist() == [[1.0, 1.0]] * 2
    assert halves[2].tolist() == [3.015625, 3.015625]  # 3 + 3 * 2^-8, of which 2^-6 is the nearest
    long = draw(3, 10_000, torch.bfloat16), draw(10_000, 40, torch.bfloat16)
    assert torch.equal(multiply(*long), multiply(*long, dtype=torch.float32).bfloat16())
    before = draw(3, 40, torch.bfloat16)
    added = multiply(*long, add_to=before.clone())
    torch.testing.assert_close(added, (before + multiply(*long, dtype=torch.float32)).bfloat16())


def test_torch_s_default_device_does_not_matter() -> None:
    a, b = torch.ones(3, 4), torch.ones(4, 5)
    with torch.device("meta"):
        c = multiply(a, b)
    assert torch.equal(c, torch.full((3, 5), 4.0))


@needs_ours
def test_matrices_that_do_not_fit_are_refused() -> None:
    a, b, c = np.ones((3, 4), np.float32), np.ones((4, 5), np.float32), np.ones((3, 5), np.float32)
    odd = np.ones(3, np.dtype([("a", "<f4"), ("b", "<u2")]))["a"].reshape(3, 1)  # 6 bytes from row to row
    for wrong, message in [
        ((a, b[:3], c), "b should be"),
        ((a, b, np.ones((5, 3), np.float32).T), "rows of c are not contiguous"),
        ((a, b.astype(np.float64), c), "b should be"),
        ((odd, np.ones((1, 5), np.float32), c), "contiguous"),
    ]:
        with pytest.raises(ValueError, match=message):
            functions.gemm(**dict(zip("abc", wrong, strict=True)), threads=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.float16], ids=str)
def test_every_dtype_is_multiplied(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    a, b, c = draw(5, 8, dtype), draw(8, 7, dtype), draw(5, 7, dtype)
    wanted = a.double() @ b.double()
    tolerance = {"rtol": 0, "atol": 2e-6 if dtype in (torch.float32, torch.float64) else 0.1}
    assert multiply(a, b).dtype == dtype
    torch.testing.assert_close(multiply(a, b).double(), wanted, **tolerance)
    assert multiply(a, b, dtype=torch.float32).dtype == torch.float32
    torch.testing.assert_close(multiply(a, b, dtype=torch.float32).double(), wanted, **tolerance)
    added = c.clone()
    assert multiply(a, b, add_to=added) is added
    torch.testing.assert_close(added.double(), c.double() + wanted, **tolerance)
