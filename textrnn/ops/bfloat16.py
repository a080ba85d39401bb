"""Rounding to bfloat16, the upper half of a float32, which numpy lacks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_LARGEST = np.array(0x7F7F0000, np.uint32).view(np.float32)  # finite in bfloat16


def to_bfloat16(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Return the bits of the nearest bfloat16 of each number, ties to even.

    Numbers beyond the largest finite bfloat16, infinity included, become that one: a finite weight stays finite.
    """
    bits = np.ascontiguousarray(array.clip(-_LARGEST, _LARGEST)).view(np.uint32)
    return ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype(np.uint16)
