"""Products in each precision: against float64, and bit for bit where they are exact."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import torch

from textrnn.errors import BackendError
from textrnn.inference import Precision
from textrnn.inference.linear import Linear, missing_support
from textrnn.native import library
from textrnn.ops import prepacked
from textrnn.ops.prepacked import LONGEST, Array


def here(precision: Precision) -> Any:
    reason = missing_support(precision)
    return pytest.param(precision, marks=[] if reason is None else pytest.mark.skip(reason=reason))


PRECISIONS = [here(precision) for precision in get_args(Precision)]
ROUNDED = [here("bf16"), here("int8")]
needs_bf16 = pytest.mark.skipif(missing_support("bf16") is not None, reason=str(missing_support("bf16")))
needs_int8 = pytest.mark.skipif(missing_support("int8") is not None, reason=str(missing_support("int8")))
needs_library = pytest.mark.skipif(prepacked.missing_isa("float32") is not None, reason="numpy multiplies here")
SIZES = list(product((1, 2, 13, 14, 15, 33, 257), (1, 3, 64, 100, 256, 385), (1, 31, 32, 33, 768)))


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def to_bfloat16(x: Array) -> Array:
    return torch.from_numpy(x).bfloat16().float().numpy()


def multiply_in_int8(x: Array, weight: Array) -> Array:
    """Return the bits of an int8 product: integer factors, and three roundings at the end."""
    of_rows, of_columns = np.abs(x).max(axis=1), np.abs(weight).max(axis=0)
    factors = np.divide(np.float32(127), of_rows, where=of_rows >= 2.0**-120, out=np.zeros_like(of_rows))
    rows = np.rint(x * factors[:, None]).astype(np.int64)
    columns = np.rint(weight * (127 / np.where(of_columns > 0, of_columns, 1).astype(np.float64))).astype(np.int64)
    assert max(np.abs(rows).max(), np.abs(columns).max()) <= 127
    scaled = (rows @ columns).astype(np.float32) * (of_columns / 127.0).astype(np.float32)
    return scaled * (of_rows / np.float32(127))[:, None]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_shape_is_close_to_float64(precision: Precision) -> None:
    for M, K, N in SIZES:
        x, weight = draw(M, K), draw(K, N, seed=1) / 16
        result = Linear(weight, precision)(x, threads=1)
        assert (result.shape, result.dtype) == ((M, N), np.float32)
        size = np.abs(x).astype(np.float64) @ np.abs(weight)
        if precision == "bf16":  # only the sums are rounded
            x, weight = to_bfloat16(x), to_bfloat16(weight)
        allowed = (K + 2) * 2.0**-24 * size
        if precision == "int8":  # half a step of either factor
            of_rows, of_columns = (np.abs(a).max(axis=i) / 254.0 for i, a in ((1, x), (0, weight)))
            allowed += of_rows[:, None] * np.abs(weight).sum(axis=0) + np.abs(x).sum(axis=1)[:, None] * of_columns
            allowed += K * of_rows[:, None] * of_columns
        assert (np.abs(result - x.astype(np.float64) @ weight) <= allowed).all(), (M, K, N)


@needs_int8
def test_int8_rounds_only_the_factors() -> None:
    for M, K, N in SIZES:
        x, weight = draw(M, K), draw(K, N, seed=1)
        np.testing.assert_array_equal(Linear(weight, "int8")(x, threads=1), multiply_in_int8(x, weight))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_integers_are_multiplied_without_error(precision: Precision) -> None:
    rng = np.random.default_rng(1)
    for K in (1, 3, 100, 385):
        x = rng.integers(-127, 128, (30, K)).astype(np.float32)
        weight = rng.integers(-127, 128, (K, 40)).astype(np.float32)
        x[:, 0] = weight[0] = 127  # so that a step is 1
        x[1], x[2], weight[:, 1], weight[:, 2] = 127, -127, 127, -127  # the largest sums
        np.testing.assert_array_equal(Linear(weight, precision)(x, threads=1), x @ weight.astype(np.float64))


@needs_int8
def test_the_longest_sum_of_int8_does_not_overflow() -> None:
    x = np.ones((2, LONGEST), np.float32) * np.array([[1], [-1]], np.float32)
    result = Linear(np.ones((LONGEST, 1), np.float32), "int8")(x, threads=1)
    np.testing.assert_allclose(result, [[LONGEST], [-LONGEST]], rtol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_and_columns_may_have_any_scale(precision: Precision) -> None:
    x, weight = draw(33, 100), draw(100, 40, seed=1)
    ones = Linear(weight, precision)(x, threads=1)
    of_rows = np.float32(2) ** np.arange(-60, -27, dtype=np.float32)
    of_columns = np.float32(2) ** np.arange(-20, 20, dtype=np.float32)
    result = Linear(weight * of_columns, precision)(x * of_rows[:, None], threads=1)
    np.testing.assert_array_equal(
        result, ones * of_rows[:, None] * of_columns
    )  # powers of two change no bit of the mantissa


@pytest.mark.parametrize("precision", PRECISIONS)
def test_zero_rows_and_columns_give_zeros(precision: Precision) -> None:
    x, weight = draw(20, 50), draw(50, 40, seed=1)
    x[[0, 7, 19]], weight[:, [0, 31, 39]] = 0, 0
    result = Linear(weight, precision)(x, threads=1)
    assert not result[[0, 7, 19]].any()
    assert not result[:, [0, 31, 39]].any()
    assert np.count_nonzero(result) == 17 * 37
    assert not Linear(np.zeros((50, 40), np.float32), precision)(x, threads=1).any()
    assert Linear(np.zeros((0, 40), np.float32), precision)(x[:, :0], threads=1).tolist() == [[0.0] * 40] * 20
    assert Linear(weight, precision)(x[:0], threads=1).shape == (0, 40)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("K", [63, 64])
def test_nan_and_infinity_affect_only_their_row(precision: Precision, K: int) -> None:
    x, weight = draw(40, K), draw(K, 50, seed=1)
    before = Linear(weight, precision)(x, threads=1)
    x[3, 0], x[20, K - 1], x[39, 5] = np.nan, np.nan, np.inf
    result = Linear(weight, precision)(x, threads=1)
    assert np.isnan(result[[3, 20]]).all()
    assert not np.isfinite(result[39]).any()
    others = np.setdiff1d(np.arange(40), [3, 20, 39])
    np.testing.assert_array_equal(result[others], before[others])


@needs_int8
def test_int8_multiplies_the_smallest_and_largest_numbers() -> None:
    x = np.array([[2.0**-149] * 3, [2.0**-121] * 3, [2.0**-120] * 3, [3e38, -3e38, 0]], np.float32)
    weight = np.array([[1, 0.5, 0], [0, 0.5, 0], [0, -1, 2.0**-149]], np.float32)
    result = Linear(weight, "int8")(x, threads=1)
    assert not result[:2].any()
    np.testing.assert_allclose(result[2:, 0], [2.0**-120, 3e38], rtol=1e-6)
    assert np.isfinite(result).all()


@needs_bf16
def test_bf16_rounds_to_nearest_and_ties_to_even() -> None:
    values = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, -1 - 2.0**-8, 3.3e38], np.float32)
    rounded = [1, 1 + 2.0**-6, 1 + 2.0**-7, -1, float(to_bfloat16(values)[4])]
    one = np.ones((1, 1), np.float32)
    np.testing.assert_array_equal(Linear(one, "bf16")(values[:, None], threads=1)[:, 0], rounded)
    np.testing.assert_array_equal(Linear(values[None], "bf16")(one, threads=1)[0], rounded)


@needs_library
@pytest.mark.parametrize("precision", PRECISIONS)
def test_threads_and_other_rows_and_columns_change_no_bit(precision: Precision) -> None:
    x, weight = draw(1000, 257), draw(257, 800, seed=1)
    multiply = Linear(weight, precision)
    full = multiply(x, threads=1)
    for threads in (2, 4):
        np.testing.assert_array_equal(multiply(x, threads=threads), full)
    for rows in (slice(0, 1), slice(7, 9), slice(100, 115), slice(500, 1000), slice(999, 1000)):
        np.testing.assert_array_equal(multiply(x[rows], threads=4), full[rows])
    columns = slice(31, 98)
    np.testing.assert_array_equal(Linear(weight[:, columns], precision)(x, threads=1), full[:, columns])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_threads_may_share_a_weight(precision: Precision) -> None:
    multiply = Linear(draw(64, 100), precision)
    rows = [draw(M, 64, seed=M) for M in range(1, 80)]
    expected = [multiply(x, threads=1) for x in rows]
    with ThreadPoolExecutor(4) as pool:
        for result, alone in zip(pool.map(lambda x: multiply(x, threads=2), rows * 3), expected * 3, strict=True):
            np.testing.assert_array_equal(result, alone)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_weight_may_have_any_strides(precision: Precision) -> None:
    x, weight = draw(5, 30), draw(90, 80)
    turned = weight[::-2, ::3].T[:, :30].T
    np.testing.assert_allclose(
        Linear(turned, precision)(x, threads=1),
        Linear(np.ascontiguousarray(turned), precision)(x, threads=1),
        rtol=0,
        atol=1e-5,
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_wrong_shapes_and_dtypes_are_refused(precision: Precision) -> None:
    weight = draw(8, 4)
    for wrong in (weight[0], weight.astype(np.float64), weight[None]):
        with pytest.raises(ValueError, match="should be a float32 matrix"):
            Linear(wrong, precision)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            Linear(np.full((8, 4), value, np.float32), precision)
    x = draw(5, 8)
    for wrong in (x[0], x[:, :7], x.astype(np.float64), np.asfortranarray(x), draw(5, 16)[:, ::2]):
        with pytest.raises(ValueError, match=r"x should be \(M, 8\) float32"):
            Linear(weight, precision)(wrong, threads=1)


@pytest.mark.parametrize("lack", [1, 2])
def test_an_unsupported_precision_is_refused_with_the_reason(lack: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        @staticmethod
        def textrnn_lacks_prepacked(element: int) -> int:
            return lack

    monkeypatch.setattr(library, "load_native", lambda: library.Native(Library(), ""))  # type: ignore[arg-type]
    why = ("this processor lacks them", "the C++ library was compiled without them")[lack - 1]
    assert missing_support("bf16") == f"it needs AVX-512 BF16 instructions, and {why}"
    with pytest.raises(
        BackendError, match=f"^precision int8 is not available: it needs AVX-512 VNNI .* and {re.escape(why)}$"
    ):
        Linear(draw(8, 4), "int8")
    check_numpy_multiplies()


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "load_native", lambda: library.Native(None, "it was not compiled"))
    assert missing_support("int8") == "the C++ library is not available: it was not compiled"
    check_numpy_multiplies()


def check_numpy_multiplies() -> None:
    x, weight = draw(5, 8), draw(8, 4)
    assert missing_support("fp32") is None
    np.testing.assert_array_equal(Linear(weight, "fp32")(x, threads=1), x @ weight)
    with pytest.raises(ValueError, match=r"x should be \(M, 8\) float32"):
        Linear(weight)(x[:, :7], threads=1)
