"""Products of float32 rows with a weight that is prepacked for the C++ library, in float32, bfloat16 or int8.

Prediction uses it; it imports no torch. ``native/gemm/gemm_prepacked.cpp`` describes the computation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.native import functions, library

Array = npt.NDArray[np.float32]

ELEMENTS = {"float32": 4, "bfloat16": 2, "int8": 1}
"""Bytes of an element."""
LONGEST = 1 << 17  # terms of a sum of int8, each 127 * 127 at most, that 32 bits hold

_INSTRUCTIONS = {"float32": "AVX-512", "bfloat16": "AVX-512 BF16", "int8": "AVX-512 VNNI"}
_COLUMNS = 32  # kTileColumns of gemm.h
_VECTOR = 16  # units of 4 bytes
_ALIGNMENT = 64
_LARGEST = np.array(0x7F7F0000, np.uint32).view(np.float32)  # finite in bfloat16


def missing_isa(dtype: str) -> str | None:
    """Return in a line why weights of ``dtype``, a key of ELEMENTS, cannot be multiplied; None if they can."""
    native = library.load_native()
    if native.library is None:
        return f"the C++ library is not available: {native.reason}"
    lack = native.library.textrnn_lacks_prepacked(ELEMENTS[dtype])
    where = {1: "this processor lacks them", 2: "the C++ library was compiled without them"}
    return f"it needs {_INSTRUCTIONS[dtype]} instructions, and {where[lack]}" if lack else None


def find_isa(dtype: str) -> str:
    """Return the name of the instructions that multiply weights of ``dtype`` here; ``numpy`` multiplies without any."""
    native = library.load_native().library
    if native is None or native.textrnn_lacks_prepacked(ELEMENTS[dtype]):
        return "numpy"
    name: bytes = native.textrnn_prepacked_instructions(ELEMENTS[dtype])
    return name.decode()


@dataclass(frozen=True)
class PrepackedWeight:
    """A weight (K, N) as :func:`multiply` reads it; see GemmPrepackedArgs of gemm.h.

    ``first`` and ``scales`` are empty but in int8: where sums begin, and the value of 1 in each column.
    """

    shape: tuple[int, int]
    panels: npt.NDArray[Any]
    first: npt.NDArray[np.int32]
    scales: Array


def pack(weight: Array, dtype: str) -> PrepackedWeight:
    """Return ``weight`` (K, N) float32, rounded to ``dtype``, a key of ELEMENTS.

    In bfloat16 an entry stays finite, as in :func:`to_bfloat16`. In int8 it is rounded to a
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
    steps = K if dtype == "float32" else -(-K // (_VECTOR * depth)) * _VECTOR
    padded = np.zeros((steps * depth, width), rounded.dtype)
    padded[:K, :N] = rounded
    panels = _align(padded.reshape(steps, depth, width // _COLUMNS, _COLUMNS).transpose(2, 0, 3, 1))
    return PrepackedWeight((K, N), panels, first, scales)


def to_bfloat16(array: Array) -> npt.NDArray[np.uint16]:
    """Return the bits of the nearest bfloat16, the upper half of a float32, of each number, ties to even.

    Numbers beyond the largest finite bfloat16, infinity included, become that one: a finite weight stays finite.
    """
    bits = np.ascontiguousarray(array.clip(-_LARGEST, _LARGEST)).view(np.uint32)
    return ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype(np.uint16)


def multiply(x: Array, weight: PrepackedWeight, *, threads: int) -> Array:
    """Return the product (M, N) float32 of ``x`` (M, K) float32, C-contiguous, and a prepacked weight.

    Rows are rounded to the weight's dtype: to bfloat16, where subnormal numbers count as zero, or in int8 to multiples
    of the row's largest magnitude / 127. In int8 a row below 2**-120 counts as zeros, and the result of a row that is
    not finite is NaN. An entry is equal to the bit whatever the other rows and columns and ``threads`` are; ``threads``
    below 1 counts as 1.

    Raises:
        ValueError: another dtype, shape or layout of ``x``, or a weight that this processor does not multiply.
        MemoryError: no memory for the converted rows.
    """
    K, N = weight.shape
    check_rows(x, K)
    c = np.empty((len(x), N), np.float32)
    functions.gemm_prepacked(x=x, c=c, panels=weight.panels, first=weight.first, scales=weight.scales, threads=threads)
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
        layout = "" if x.flags.c_contiguous else ", not contiguous"
        raise ValueError(f"x should be (M, {K}) float32 C-contiguous, not {x.shape} {x.dtype}{layout}")


def _align(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a contiguous copy at an address that is a multiple of _ALIGNMENT."""
    memory = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
