"""Quantized weights: their rounding errors, and the refusal of wrong scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from textrnn.serialization.quantization import dequantize, quantize
from textrnn.serialization.tensor_file import BFLOAT16

RNG = np.random.default_rng(5)


def draw(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def test_float32_is_not_changed() -> None:
    array = draw(20, 20)
    stored = quantize({"x": array}, "float32", names=["x"])
    assert stored.keys() == {"x"}
    assert stored["x"] is array
    assert dequantize(stored)["x"] is array


def test_only_named_tensors_are_quantized() -> None:
    tensors = {"x": draw(20, 20), "y": draw(20, 20)}
    for storage in ("bf16", "int8"):
        stored = quantize(tensors, storage, names=["x"])
        assert stored["y"] is tensors["y"]
        assert stored["x"].nbytes < tensors["x"].nbytes


def test_bfloat16_rounds_as_torch_does() -> None:
    bits = RNG.integers(0, 2**32, 200_000, dtype=np.uint32)
    numbers = np.concatenate([bits.view(np.float32), np.float32([0, -0.0, 1e-45, 3e-39, 1.00390625, 1.01171875])])
    numbers = numbers[np.isfinite(numbers)]
    numbers = numbers[np.isfinite(torch.from_numpy(numbers).bfloat16().float().numpy())]
    stored = quantize({"x": numbers}, "bf16", names=["x"])
    assert stored["x"].dtype == BFLOAT16
    wanted = torch.from_numpy(numbers).bfloat16().float().numpy()
    np.testing.assert_array_equal(dequantize(stored)["x"].view(np.uint32), wanted.view(np.uint32))


def test_bfloat16_of_the_largest_numbers_is_finite() -> None:
    largest = np.finfo(np.float32).max
    stored = dequantize(quantize({"x": np.array([largest, -largest], np.float32)}, "bf16", names=["x"]))["x"]
    assert np.isfinite(stored).all()
    np.testing.assert_allclose(stored, [largest, -largest], rtol=1 / 256)


@pytest.mark.parametrize("shape", [(40, 30), (16, 1), (1, 16), (300, 2), (64,)])
def test_int8_rounds_to_the_nearest_step(shape: tuple[int, ...]) -> None:
    array = draw(*shape) * 3
    stored = quantize({"x": array}, "int8", names=["x"])
    scale = stored["x.scale"]
    assert (stored["x"].dtype, scale.dtype) == (np.int8, np.float32)
    stored = dequantize(stored)
    assert stored.keys() == {"x"}
    assert (stored["x"].dtype, stored["x"].shape) == (np.float32, shape)
    assert (np.abs(stored["x"] - array) <= 0.5001 * scale).all()


def test_scales_belong_to_rows_or_columns_whichever_is_closer() -> None:
    rows = draw(50, 40) * np.exp(draw(50, 1))
    assert quantize({"x": rows}, "int8", names=["x"])["x.scale"].shape == (50, 1)
    assert quantize({"x": rows.T.copy()}, "int8", names=["x"])["x.scale"].shape == (1, 50)
    assert quantize({"x": rows[:, :3]}, "int8", names=["x"])["x.scale"].shape == (1, 3)  # a row is too short for one


def test_rows_of_zeros_stay_zero() -> None:
    array = draw(40, 40)
    array[3] = 0
    array[5] = 1e-45
    stored = dequantize(quantize({"x": array}, "int8", names=["x"]))["x"]
    assert not stored[3].any()
    assert np.isfinite(stored).all()
    assert not dequantize(quantize({"x": np.zeros((40, 40), np.float32)}, "int8", names=["x"]))["x"].any()


@pytest.mark.parametrize("shape", [(15, 15), (0, 40), (40, 0), (0, 0), (15,), (0,)])
def test_small_tensors_stay_float32(shape: tuple[int, ...]) -> None:
    array = draw(*shape)
    stored = quantize({"x": array}, "int8", names=["x"])
    assert stored.keys() == {"x"}
    assert stored["x"] is array


def test_quantizing_again_changes_nothing() -> None:
    for storage in ("bf16", "int8"):
        once = dequantize(quantize({"x": draw(40, 30)}, storage, names=["x"]))
        np.testing.assert_allclose(dequantize(quantize(once, storage, names=["x"]))["x"], once["x"], rtol=1e-6, atol=0)


NUMBERS = np.ones((2, 3), np.int8)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"x": NUMBERS}, r"tensor 'x\.scale' is missing"),
        *(
            ({"x": NUMBERS, "x.scale": np.ones(shape, np.float32)}, "does not fit 'x'")
            for shape in ((), (1,), (3,), (2, 2), (3, 1), (1, 2), (0, 1), (1, 1, 1))
        ),
        ({"x": NUMBERS, "x.scale": np.ones((2, 1))}, "does not fit 'x'"),
        ({"x": NUMBERS, "x.scale": np.ones((2, 1), np.int8)}, r"'x\.scale\.scale' is missing"),
    ],
)
def test_scales_that_do_not_fit_are_refused(tensors: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dequantize(tensors)
