"""Weights in fewer bits: how near they stay, and what is refused on the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from textrnn.serialization.quantization import narrow, widen
from textrnn.serialization.tensor_file import BFLOAT16

RNG = np.random.default_rng(5)


def draw(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def test_float32_stays_as_it_is() -> None:
    array = draw(20, 20)
    found = narrow({"x": array}, "float32", names=["x"])
    assert found.keys() == {"x"}
    assert found["x"] is array
    assert widen(found)["x"] is array


def test_only_what_is_named_is_narrowed() -> None:
    tensors = {"x": draw(20, 20), "y": draw(20, 20)}
    for storage in ("bf16", "int8"):
        found = narrow(tensors, storage, names=["x"])
        assert found["y"] is tensors["y"]
        assert found["x"].nbytes < tensors["x"].nbytes


def test_bfloat16_rounds_as_torch_does() -> None:
    bits = RNG.integers(0, 2**32, 200_000, dtype=np.uint32)
    numbers = np.concatenate([bits.view(np.float32), np.float32([0, -0.0, 1e-45, 3e-39, 1.00390625, 1.01171875])])
    numbers = numbers[np.isfinite(numbers)]
    numbers = numbers[np.isfinite(torch.from_numpy(numbers).bfloat16().float().numpy())]
    stored = narrow({"x": numbers}, "bf16", names=["x"])
    assert stored["x"].dtype == BFLOAT16
    wanted = torch.from_numpy(numbers).bfloat16().float().numpy()
    np.testing.assert_array_equal(widen(stored)["x"].view(np.uint32), wanted.view(np.uint32))


def test_bfloat16_of_the_largest_numbers_is_finite() -> None:
    largest = np.finfo(np.float32).max
    found = widen(narrow({"x": np.array([largest, -largest], np.float32)}, "bf16", names=["x"]))["x"]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, [largest, -largest], rtol=1 / 256)


@pytest.mark.parametrize("shape", [(40, 30), (16, 1), (1, 16), (300, 2), (64,)])
def test_int8_is_off_by_half_a_step_at_most(shape: tuple[int, ...]) -> None:
    array = draw(*shape) * 3
    stored = narrow({"x": array}, "int8", names=["x"])
    scale = stored["x.scale"]
    assert (stored["x"].dtype, scale.dtype) == (np.int8, np.float32)
    found = widen(stored)
    assert found.keys() == {"x"}
    assert (found["x"].dtype, found["x"].shape) == (np.float32, shape)
    assert (np.abs(found["x"] - array) <= 0.5001 * scale).all()


def test_scales_are_of_rows_or_columns_by_what_is_nearer() -> None:
    rows = draw(50, 40) * np.exp(draw(50, 1))
    assert narrow({"x": rows}, "int8", names=["x"])["x.scale"].shape == (50, 1)
    assert narrow({"x": rows.T.copy()}, "int8", names=["x"])["x.scale"].shape == (1, 50)
    assert narrow({"x": rows[:, :3]}, "int8", names=["x"])["x.scale"].shape == (1, 3)  # a row is too short for one


def test_rows_of_zeros_stay_so() -> None:
    array = draw(40, 40)
    array[3] = 0
    array[5] = 1e-45
    found = widen(narrow({"x": array}, "int8", names=["x"]))["x"]
    assert not found[3].any()
    assert np.isfinite(found).all()
    assert not widen(narrow({"x": np.zeros((40, 40), np.float32)}, "int8", names=["x"]))["x"].any()


@pytest.mark.parametrize("shape", [(15, 15), (0, 40), (40, 0), (0, 0), (15,), (0,)])
def test_what_is_too_small_for_scales_stays_float32(shape: tuple[int, ...]) -> None:
    array = draw(*shape)
    found = narrow({"x": array}, "int8", names=["x"])
    assert found.keys() == {"x"}
    assert found["x"] is array


def test_narrowing_again_changes_nothing() -> None:
    for storage in ("bf16", "int8"):
        once = widen(narrow({"x": draw(40, 30)}, storage, names=["x"]))
        np.testing.assert_allclose(widen(narrow(once, storage, names=["x"]))["x"], once["x"], rtol=1e-6, atol=0)


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
        widen(tensors)
