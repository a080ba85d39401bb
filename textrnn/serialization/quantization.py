"""Model weights stored in fewer bits than float32.

bfloat16 is the upper half of a float32. int8 stores integers from -127 to 127 and one float32 scale for each row or
column: weight = integer * scale.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from textrnn.ops.prepacked import to_bfloat16
from textrnn.serialization.tensor_file import BFLOAT16, Tensors

Storage = Literal["float32", "bf16", "int8"]
Floats = npt.NDArray[np.float32]

_SCALE = ".scale"  # suffix of the name of a tensor's scales
_LARGEST = 127
_SMALLEST_GROUP = 16  # numbers that share a scale: a scale itself takes four bytes


def quantize(tensors: Tensors, storage: Storage, *, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Return ``tensors`` with those in ``names``, float32 (R, C) or (R,), stored as ``storage``.

    int8 adds a float32 tensor ``NAME.scale`` for each tensor: (R, 1) or (1, C), whichever has the lower squared error,
    or (1,). A tensor with fewer than 16 numbers for each scale stays float32.
    """
    stored = dict(tensors)
    for name in names:
        if storage == "bf16":
            stored[name] = to_bfloat16(stored[name]).astype("<u2").view(BFLOAT16)
        elif storage == "int8" and (pair := _to_int8(stored[name])):
            stored[name], stored[name + _SCALE] = pair
    return stored


def dequantize(tensors: Tensors) -> dict[str, npt.NDArray[Any]]:
    """Return ``tensors`` with bfloat16 and int8 converted to float32; undoes :func:`quantize` up to rounding.

    Raises:
        ValueError: the scales of an int8 tensor are missing or do not fit.
    """
    restored: dict[str, npt.NDArray[Any]] = {}
    scales = {name + _SCALE for name, array in tensors.items() if array.dtype == np.int8}
    if missing := sorted(scales - tensors.keys()):
        raise ValueError(f"tensor '{missing[0]}' is missing")
    for name, array in tensors.items():
        if array.dtype == BFLOAT16:
            restored[name] = (array["bfloat16"].astype(np.uint32) << 16).view(np.float32)
        elif array.dtype == np.int8:
            restored[name] = _from_int8(name, array, tensors[name + _SCALE])
        elif name not in scales:
            restored[name] = array
    return restored


def _to_int8(array: Floats) -> tuple[npt.NDArray[np.int8], Floats] | None:
    """Return integers and their scales, by row or by column; None if the array is too small for scales."""
    best = None
    for axis in reversed(range(array.ndim)):
        if array.shape[axis] < _SMALLEST_GROUP or not array.size:
            continue
        scale = np.abs(array).max(axis=axis, keepdims=True) / np.float32(_LARGEST)
        scaled = np.divide(array, scale, out=np.zeros_like(array), where=scale > 0)
        integers = np.rint(scaled).clip(-_LARGEST, _LARGEST).astype(np.int8)
        error = float(np.square(array - integers * scale, dtype=np.float64).sum())
        if best is None or error < best[0]:
            best = error, integers, scale
    return None if best is None else best[1:]


def _from_int8(name: str, integers: npt.NDArray[np.int8], scale: npt.NDArray[Any]) -> Floats:
    fits = integers.ndim == scale.ndim and all(b in (1, a) for a, b in zip(integers.shape, scale.shape, strict=True))
    if scale.dtype != np.float32 or not fits:
        raise ValueError(f"tensor '{name}{_SCALE}' does not fit '{name}'")
    with np.errstate(over="ignore", invalid="ignore"):  # the caller checks that all weights are finite
        restored: Floats = np.multiply(integers, scale, dtype=np.float32)
    return restored
