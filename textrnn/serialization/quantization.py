"""Weights in fewer bits than float32 has, and what they are as float32 again.

bfloat16 is the upper half of a float32. int8 is a whole number from -127 to 127 that stands for so many times a scale,
which the numbers of a row (or of a column) have in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from textrnn.ops.bfloat16 import to_bfloat16
from textrnn.serialization.tensor_file import BFLOAT16, Tensors

Storage = Literal["float32", "bf16", "int8"]
Floats = npt.NDArray[np.float32]

_SCALE = ".scale"  # ends the name of the scales of the tensor that is named before it
_STEPS = 127  # of int8 on either side of 0
_SHARED_BY = 16  # numbers have a scale together, at least: it takes four bytes itself


def narrow(tensors: Tensors, storage: Storage, *, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Return ``tensors`` with those of ``names``, float32 (R, C) or (R,), in ``storage``; the others stay as they are.

    A tensor of int8 has its scales beside it, float32, under its name and ``.scale``: (R, 1) or (1, C), whichever
    comes nearer to the numbers, or (1,). One that is too small to have them stays float32.
    """
    found = dict(tensors)
    for name in names:
        if storage == "bf16":
            found[name] = to_bfloat16(found[name]).astype("<u2").view(BFLOAT16)
        elif storage == "int8" and (pair := _to_int8(found[name])):
            found[name], found[name + _SCALE] = pair
    return found


def widen(tensors: Tensors) -> dict[str, npt.NDArray[Any]]:
    """Return ``tensors`` as they were before :func:`narrow`, or near it: float32 in place of bfloat16 and int8.

    Raises:
        ValueError: a tensor of int8 has no scales, or they do not fit.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    scales = {name + _SCALE for name, array in tensors.items() if array.dtype == np.int8}
    if lacking := sorted(scales - tensors.keys()):
        raise ValueError(f"tensor '{lacking[0]}' is missing")
    for name, array in tensors.items():
        if array.dtype == BFLOAT16:
            found[name] = (array["bfloat16"].astype(np.uint32) << 16).view(np.float32)
        elif array.dtype == np.int8:
            found[name] = _from_int8(name, array, tensors[name + _SCALE])
        elif name not in scales:
            found[name] = array
    return found


def _to_int8(array: Floats) -> tuple[npt.NDArray[np.int8], Floats] | None:
    """Return the numbers and their scales, by row or by column."""
    best = None
    for axis in reversed(range(array.ndim)):
        if array.shape[axis] < _SHARED_BY or not array.size:
            continue
        scale = np.abs(array).max(axis=axis, keepdims=True) / np.float32(_STEPS)
        steps = np.divide(array, scale, out=np.zeros_like(array), where=scale > 0)
        numbers = np.rint(steps).clip(-_STEPS, _STEPS).astype(np.int8)
        error = float(np.square(array - numbers * scale, dtype=np.float64).sum())
        if best is None or error < best[0]:
            best = error, numbers, scale
    return None if best is None else best[1:]


def _from_int8(name: str, numbers: npt.NDArray[np.int8], scale: npt.NDArray[Any]) -> Floats:
    fits = numbers.ndim == scale.ndim and all(b in (1, a) for a, b in zip(numbers.shape, scale.shape, strict=True))
    if scale.dtype != np.float32 or not fits:
        raise ValueError(f"tensor '{name}{_SCALE}' does not fit '{name}'")
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found where every number is looked at
        wide: Floats = np.multiply(numbers, scale, dtype=np.float32)
    return wide
