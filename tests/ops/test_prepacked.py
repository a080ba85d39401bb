"""Packing of weights: what lies where in the panels, and what multiplying them takes. Values are test_products.py's."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from textrnn.ops import prepacked
from textrnn.ops.prepacked import ELEMENTS, Array


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def unpack(panels: prepacked.PrepackedWeight) -> npt.NDArray[Any]:
    """Return the units as a matrix again, with what is packed past its end."""
    count, steps, columns, depth = panels.panels.shape
    return panels.panels.transpose(1, 3, 0, 2).reshape(steps * depth, count * columns)


def here(dtype: str) -> Any:
    lack = prepacked.missing_isa(dtype)
    return pytest.param(dtype, marks=[] if lack is None else pytest.mark.skip(reason=lack))


DTYPES = [here(dtype) for dtype in ELEMENTS]


@pytest.mark.parametrize("dtype", ELEMENTS)
@pytest.mark.parametrize(("K", "N"), [(1, 1), (3, 31), (4, 32), (5, 33), (64, 100)])
def test_units_are_padded_with_zeros_and_aligned(dtype: str, K: int, N: int) -> None:
    panels = prepacked.pack(draw(K, N), dtype)
    matrix, whole = unpack(panels), 1 if dtype == "float32" else 64 // ELEMENTS[dtype]  # whole vectors
    assert matrix.shape == (-(-K // whole) * whole, -(-N // 32) * 32)
    assert not matrix[K:].any()
    assert not matrix[:, N:].any()
    assert panels.panels.ctypes.data % 64 == 0


def test_float32_is_packed_as_it_is() -> None:
    weight = draw(5, 40)
    np.testing.assert_array_equal(unpack(prepacked.pack(weight[:, ::2], "float32"))[:5, :20], weight[:, ::2])


def test_int8_has_the_sum_and_the_step_of_each_column() -> None:
    weight = np.array([[127, 0.5, 0], [-3, -1, 0]], np.float32)
    panels = prepacked.pack(weight, "int8")
    numbers, first, scales = unpack(panels), panels.first, panels.scales
    assert numbers[:2, :3].tolist() == [[127, 64, 0], [-3, -127, 0]]
    assert first[:4].tolist() == [-128 * 124, -128 * -63, 0, 0]
    np.testing.assert_allclose(scales[:4], [1, 1 / 127, 0, 0], rtol=1e-7)


def test_int8_takes_no_more_rows_than_its_sums_hold() -> None:
    with pytest.raises(ValueError, match="131,072 rows at most, not 131,073"):
        prepacked.pack(np.ones((prepacked.LONGEST + 1, 1), np.float32), "int8")


@pytest.mark.parametrize("dtype", DTYPES)
def test_fewer_threads_than_one_count_as_one(dtype: str) -> None:
    code = (  # in a process of its own, which a division by zero would end
        "import numpy as np; from textrnn.ops import prepacked; x = np.eye(30, 8, dtype=np.float32); "
        f"panels = prepacked.pack(np.arange(40, dtype=np.float32).reshape(8, 5), {dtype!r}); "
        "results = [prepacked.multiply(x, panels, threads=threads) for threads in (1, 0, -1)]; "
        "assert results[0].any() and all(np.array_equal(results[0], result) for result in results)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bfloat16_rounds_as_torch_does() -> None:
    bits = np.random.default_rng(5).integers(0, 2**32, 200_000, dtype=np.uint32)
    numbers = np.concatenate([bits.view(np.float32), np.float32([0, -0.0, 1e-45, 3e-39, 1.00390625, 1.01171875])])
    wanted = torch.from_numpy(numbers).bfloat16().view(torch.int16).numpy().view(np.uint16)
    finite = wanted & 0x7F80 != 0x7F80
    np.testing.assert_array_equal(prepacked.to_bfloat16(numbers[finite]), wanted[finite])
    turned = numbers[finite][:60000].reshape(200, 300).T
    np.testing.assert_array_equal(prepacked.to_bfloat16(turned), wanted[finite][:60000].reshape(200, 300).T)


def test_the_largest_numbers_in_bfloat16_become_the_largest_that_is_finite() -> None:
    largest = np.finfo(np.float32).max
    found = prepacked.to_bfloat16(np.float32([largest, -largest, 3.4e38, np.inf]))
    assert found.tolist() == [0x7F7F, 0xFF7F, 0x7F7F, 0x7F7F]
