"""Layouts: the struct that they pack, and the arguments that they refuse."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import torch

from textrnn.native.arguments import Layout

LAYOUT = Layout(
    """
    x (N, D...) T
    offsets (B+1,) int64 optional
    a (N, 2) float32 strided
    y (N, D...) T out
    keep double
    key uint64 = 7
    """
)
X, Y = np.ones((3, 4, 5), np.float32), np.ones((3, 4, 5), np.float32)
A = np.ones((2, 3), np.float32).T
OFFSETS = np.array([0, 1, 3])
ARGUMENTS = {"x": X, "offsets": OFFSETS, "a": A, "y": Y, "keep": 0.5}


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_sizes_and_elements_come_before_the_fields(convert: Any) -> None:
    arrays = {name: convert(value) for name, value in ARGUMENTS.items() if name != "keep"}
    fields = (X.ctypes.data, OFFSETS.ctypes.data, A.ctypes.data, 1, 3, Y.ctypes.data, 0.5, 7)
    assert LAYOUT.pack(**arrays, keep=0.5) == struct.pack("@4q3P2qPdQ", 3, 20, 2, 4, *fields)


def test_an_optional_array_may_be_absent() -> None:
    for absent in ({"x": X, "a": A, "y": Y, "keep": 0.5}, ARGUMENTS | {"offsets": None}):
        assert struct.unpack_from("@4qPP", LAYOUT.pack(**absent))[2:] == (0, 4, X.ctypes.data, 0)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(TypeError, match="Keep"):
        LAYOUT.pack(**ARGUMENTS, Keep=0.5)


def read_only() -> np.ndarray[Any, Any]:
    array = Y.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": None}, "x should be .*, not None"),
        ({"keep": None}, "keep should be double, not None"),
        ({"x": X.astype(np.float64)}, "x should be .* float32 or bfloat16"),
        ({"x": torch.ones(3, 4, 5, dtype=torch.bfloat16)}, "y should be"),
        ({"x": X[:, :, ::2]}, "x should be contiguous"),
        ({"x": torch.ones(5, 4, 3).permute(2, 1, 0)}, "x should be contiguous"),
        ({"x": torch.ones(3, 4, 5, device="meta")}, "on the CPU"),
        ({"offsets": OFFSETS.astype(np.int32)}, "offsets should be .* int64"),
        ({"offsets": OFFSETS[:0]}, "offsets should be"),
        ({"a": np.ones((3, 3), np.float32)}, "a should be"),
        ({"a": np.ones(3, np.float32)}, "a should be"),
        ({"y": Y[:2]}, "y should be .*N = 3"),
        ({"y": read_only()}, "read-only"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LAYOUT.pack(**ARGUMENTS | change)
