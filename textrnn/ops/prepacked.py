"""Products of float32 rows with a matrix that is packed once for the C++ library, in float32, bfloat16 or int8.

numpy and ctypes alone: prediction uses it, and loads no torch. ``native/packed.cpp`` says how it computes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.native import library
from textrnn.ops.bfloat16 import to_bfloat16

Array = npt.NDArray[np.float32]

ELEMENTS = {"float32": 4, "bfloat16": 2, "int8": 1}  # bytes
LONGEST = 1 << 17  # terms of a sum of int8, each 127 * 127 at most, that 32 bits hold

_INSTRUCTIONS = {"float32": "AVX-512", "bfloat16": "AVX-512 BF16", "int8": "AVX-512 VNNI"}
_COLUMNS = 32  # kTileColumns of product.h
_ALIGNMENT = 64
_PRODUCT = struct.Struct("@4q5P")  # PackedProduct of product.h


def missing_isa(dtype: str) -> str | None:
    """Return in a line why there are no products with panels of ``dtype``, a key of ELEMENTS, here; None: there are."""
    native = library.load_native()
    if native.library is None:
        return f"the C++ library is not there: {native.reason}"
    lack = native.library.textrnn_lacks_packed(ELEMENTS[dtype])
    where = {1: "this processor lacks them", 2: "the C++ library was compiled without them"}
    return f"it needs {_INSTRUCTIONS[dtype]} instructions, and {where[lack]}" if lack else None


@dataclass(frozen=True)
class PrepackedWeight:
    """A matrix (K, N) as :func:`multiply` reads it.

    ``held`` are the arrays at ``addresses``: the units and, in int8 alone, where sums begin and what 1 stands for.
    """

    shape: tuple[int, int]
    element: int
    addresses: tuple[int, int, int]
    held: tuple[npt.NDArray[Any], ...]


def pack(weight: Array, dtype: str) -> PrepackedWeight:
    """Return ``weight`` (K, N) float32, rounded to ``dtype``, a key of ELEMENTS.

    In bfloat16 an entry stays finite, as in :func:`textrnn.ops.bfloat16.to_bfloat16`. In int8 it is rounded to a
    multiple of its column's largest magnitude / 127. :func:`check_weight` says what a weight should be.

    Raises:
        ValueError: more than LONGEST rows in int8.
    """
    K, N = weight.shape
    if dtype == "int8" and K > LONGEST:
        raise ValueError(f"a weight in int8 should have {LONGEST:,} rows at most, not {K:,}")
    width = -(-N // _COLUMNS) * _COLUMNS
    first, scales = np.zeros(0, np.int32), np.zeros(0, np.float32)
    rounded: npt.NDArray[Any] = weight
    if dtype == "bfloat16":
        rounded = to_bfloat16(weight)
    elif dtype == "int8":
        largest = np.abs(weight).max(axis=0, initial=0).astype(np.float64)
        rounded = np.rint(weight * (127 / np.where(largest > 0, largest, 1))).astype(np.int8)
        first, scales = np.zeros(width, np.int32), np.zeros(width, np.float32)
        first[:N], scales[:N] = -128 * rounded.sum(axis=0, dtype=np.int64), largest / 127
    depth = 4 // ELEMENTS[dtype]
    steps = -(-K // depth)
    padded = np.zeros((steps * depth, width), rounded.dtype)
    padded[:K, :N] = rounded
    units = _align(padded.reshape(steps, depth, width // _COLUMNS, _COLUMNS).transpose(2, 0, 3, 1))
    held = (units, first, scales)
    return PrepackedWeight(
        (K, N), ELEMENTS[dtype], (library.address(units), library.address(first), library.address(scales)), held
    )


def multiply(x: Array, panels: PrepackedWeight, *, threads: int) -> Array:
    """Return the product (M, N) float32 of ``x`` (M, K) float32, C-contiguous, and what was packed.

    Rows are rounded to the panels' dtype: to bfloat16, where subnormal numbers count as zero, or to multiples of the
    row's largest magnitude / 127 in int8, where a row below 2**-120 counts as zeros and the result of a row that is not
    finite is NaN. An entry is the same to the bit whatever the other rows and columns and ``threads`` are, how many to
    use at most; below 1 is 1.

    Raises:
        ValueError: another dtype, shape or layout of ``x``, or panels that this processor does not multiply.
        MemoryError: no memory for the converted rows.
    """
    K, N = panels.shape
    check_rows(x, K)
    lib = library.load_native().library
    assert lib is not None
    c = np.empty((len(x), N), np.float32)
    product = _PRODUCT.pack(len(x), N, K, panels.element, library.address(x), *panels.addresses, library.address(c))
    library.check(lib.textrnn_multiply_packed(product, threads), refused="the panels are not for this processor")
    return c


def check_weight(weight: Array) -> None:
    """Raise ValueError unless ``weight`` is a finite float32 matrix."""
    if weight.dtype != np.float32 or weight.ndim != 2:
        raise ValueError(f"a weight should be a float32 matrix, not {weight.shape} {weight.dtype}")
    if not np.isfinite(weight).all():
        raise ValueError("a weight holds a number that is not finite")


def check_rows(x: Array, K: int) -> None:
    """Raise ValueError unless ``x`` is (M, K) float32 and C-contiguous."""
    if x.dtype != np.float32 or x.ndim != 2 or x.shape[1] != K or not x.flags.c_contiguous:
        layout = "" if x.flags.c_contiguous else ", in another order"
        raise ValueError(f"x should be (M, {K}) float32 in C's order, not {x.shape} {x.dtype}{layout}")


def _align(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a contiguous copy at an address that is a multiple of _ALIGNMENT."""
    memory = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    start = -library.address(memory) % _ALIGNMENT
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
