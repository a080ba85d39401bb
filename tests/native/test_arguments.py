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
    """
)
X, Y = np.ones((3, 4, 5), np.float32), np.ones((3, 4, 5), np.float32)
A = np.ones((2, 3), np.float32).T
OFFSETS = np.array([0, 1, 3])


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_sizes_and_elements_come_before_the_fields(convert: Any) -> None:
    packed = LAYOUT.pack(*(convert(array) for array in (X, OFFSETS, A, Y)), 0.5)
    fields = (X.ctypes.data, OFFSETS.ctypes.data, A.ctypes.data, 1, 3, Y.ctypes.data, 0.5)
    assert packed == struct.pack("@4q3P2qPd", 3, 20, 2, 4, *fields)
    assert len(packed) == LAYOUT.size


def test_an_optional_array_may_be_absent() -> None:
    assert struct.unpack_from("@4qPP", LAYOUT.pack(X, None, A, Y, 0.5))[2:] == (0, 4, X.ctypes.data, 0)


def read_only() -> np.ndarray[Any, Any]:
    array = Y.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: None}, "x should be .*, not None"),
        ({0: X.astype(np.float64)}, "x should be .* float32 or bfloat16"),
        ({0: torch.ones(3, 4, 5, dtype=torch.bfloat16)}, "y should be"),
        ({0: X[:, :, ::2]}, "x should be contiguous"),
        ({0: torch.ones(5, 4, 3).permute(2, 1, 0)}, "x should be contiguous"),
        ({0: torch.ones(3, 4, 5, device="meta")}, "on the CPU"),
        ({1: OFFSETS.astype(np.int32)}, "offsets should be .* int64"),
        ({1: OFFSETS[:0]}, "offsets should be"),
        ({2: np.ones((3, 3), np.float32)}, "a should be"),
        ({2: np.ones(3, np.float32)}, "a should be"),
        ({3: Y[:2]}, "y should be .*N = 3"),
        ({3: read_only()}, "read-only"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(change: dict[int, Any], message: str) -> None:
    values = [X, OFFSETS, A, Y, 0.5]
    for index, value in change.items():
        values[index] = value
    with pytest.raises(ValueError, match=message):
        LAYOUT.pack(*values)
