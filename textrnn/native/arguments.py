"""Layouts of the structs that cross the C interface, and the checks of the arrays that fill them."""

from __future__ import annotations

import functools
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ELEMENTS = {"float32": 4, "bfloat16": 2, "uint16": 2, "int8": 1}
"""Bytes of an element, which tell the C++ code a dtype that varies."""

_NUMBERS = {"double": "d", "float": "f", "int64": "q", "uint64": "Q"}
_VARIABLES = {"T": ("float32", "bfloat16"), "U": ("float32", "bfloat16"), "E": ("float32", "uint16", "int8")}


@functools.cache
def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype of numpy or torch."""
    return str(dtype).removeprefix("torch.")


@dataclass(frozen=True)
class _Field:
    """A number, or an array: each dimension is a size (its index) plus a constant, or a constant alone (index -1)."""

    name: str
    dims: tuple[tuple[int, int], ...] | None
    text: str
    flat: bool
    dtype: str
    variable: int
    is_output: bool
    is_optional: bool
    is_strided: bool
    default: float | None


class Layout:
    """A C struct that is packed from arrays and numbers, after checks of the arrays.

    The description lists the fields, separated by ``;`` or line ends: ``name (shape) dtype`` for a numpy array or
    torch CPU tensor, and ``name type`` for a number. A shape is made of sizes (``N``), of sizes and a constant
    (``B+1``) and of constants; a last ``D...`` stands for the product of all remaining dimensions. ``T``, ``U`` and
    ``E`` are dtypes that vary. After the dtype, ``out`` marks an array that is written, ``optional`` one that may
    be None, and ``strided`` a matrix that need not be contiguous. A number may have a default: ``name type = 0``.

    The struct holds an int64 for each size, in order of appearance (0 if only absent arrays have it), the element
    bytes of each dtype that varies (int64), then the fields: a pointer for an array, and two int64, the strides in
    elements, after the pointer of a strided one.
    """

    def __init__(self, description: str) -> None:
        self._sizes: list[str] = []
        self._variables: list[str] = []
        self._fields = tuple(self._parse(text) for text in re.split(r"[;\n]", description.strip()))
        self._names = {field.name for field in self._fields}
        codes = [
            _NUMBERS[field.dtype] if field.dims is None else "Pqq" if field.is_strided else "P"
            for field in self._fields
        ]
        self._struct = struct.Struct(f"@{len(self._sizes) + len(self._variables)}q{''.join(codes)}")

    def _parse(self, text: str) -> _Field:
        match = re.fullmatch(r"\s*(\w+)\s+(?:\((.*?)\)\s+)?(\w+)((?: \w+)*)(?: = (\w+))?\s*", text)
        assert match is not None, text
        name, shape, dtype, marks = match[1], match[2], match[3], match[4].split()
        if dtype in _VARIABLES and dtype not in self._variables:
            self._variables.append(dtype)
        dims = None
        if shape is not None:
            dims = tuple(self._parse_dim(dim.strip()) for dim in shape.split(",") if dim.strip())
        return _Field(
            name,
            dims,
            f"({shape}) {' or '.join(_VARIABLES.get(dtype, (dtype,)))}" if shape is not None else dtype,
            flat="..." in (shape or ""),
            dtype=dtype,
            variable=self._variables.index(dtype) if dtype in _VARIABLES else -1,
            is_output="out" in marks,
            is_optional="optional" in marks,
            is_strided="strided" in marks,
            default=int(match[5]) if match[5] else None,
        )

    def _parse_dim(self, text: str) -> tuple[int, int]:
        if text.isdigit():
            return -1, int(text)
        size, _, constant = text.removesuffix("...").partition("+")
        if size not in self._sizes:
            self._sizes.append(size)
        return self._sizes.index(size), int(constant or 0)

    def pack(self, arguments: Mapping[str, Any]) -> bytes:
        """Return the struct for ``arguments`` by the names of the fields; the arrays must outlive its use.

        Raises:
            ValueError: an array of another shape, dtype, device or layout, a read-only output, or no value for a field
                that is not optional and has no default.
            TypeError: a name that no field has.
        """
        if not arguments.keys() <= self._names:
            raise TypeError(f"unknown arguments: {', '.join(sorted(arguments.keys() - self._names))}")
        sizes: list[int | None] = [None] * len(self._sizes)
        elements = [0] * len(self._variables)
        packed: list[Any] = []
        for field in self._fields:
            value = arguments.get(field.name, field.default)
            if value is None:
                if not field.is_optional:
                    raise ValueError(f"{field.name} should be {field.text}, not None")
                packed += (0, 0, 0) if field.is_strided else (0,)
            elif field.dims is None:
                packed.append(value)
            else:
                self._check(field, value, sizes=sizes, elements=elements)
                packed += _locate(field, value)
        return self._struct.pack(*[size or 0 for size in sizes], *elements, *packed)

    def _check(self, field: _Field, array: Any, *, sizes: list[int | None], elements: list[int]) -> None:
        """Check dtype and shape of ``array``; set those of ``sizes`` and ``elements`` that are not set yet."""
        dtype, shape, dims = dtype_name(array.dtype), array.shape, field.dims
        assert dims is not None
        if field.variable < 0:
            fits = dtype == field.dtype
        else:
            element = ELEMENTS.get(dtype, 0) if dtype in _VARIABLES[field.dtype] else 0
            fits = element > 0 and elements[field.variable] in {0, element}
            elements[field.variable] = element
        if field.flat and len(shape) >= len(dims) - 1:
            shape = (*shape[: len(dims) - 1], math.prod(shape[len(dims) - 1 :]))
        fits = fits and len(shape) == len(dims)
        for extent, (index, constant) in zip(shape, dims, strict=False):
            size = 0 if index < 0 else sizes[index]
            if size is None and extent >= constant:
                size = sizes[index] = extent - constant
            fits = fits and extent == constant + (size or 0)
        if not fits:
            known = ", ".join(
                f"{name} = {size}" for name, size in zip(self._sizes, sizes, strict=True) if size is not None
            )
            raise ValueError(f"{field.name} should be {field.text} ({known}), not {tuple(array.shape)} {dtype}")


def _locate(field: _Field, array: Any) -> tuple[int, ...]:
    """Return the address, and for a strided matrix its strides in elements."""
    if hasattr(array, "data_ptr"):
        if not array.is_cpu:
            raise ValueError(f"{field.name} should be on the CPU, not on {array.device}")
        if field.is_strided:
            return (array.data_ptr(), *array.stride())
        if array.is_contiguous():
            return (array.data_ptr(),)
    else:
        if field.is_output and not array.flags.writeable:
            raise ValueError(f"{field.name} is written, but read-only")
        address = array.__array_interface__["data"][0]
        if field.is_strided and not any(stride % array.itemsize for stride in array.strides):
            return (address, *(stride // array.itemsize for stride in array.strides))
        if array.flags.c_contiguous and not field.is_strided:
            return (address,)
    raise ValueError(f"{field.name} should be contiguous")
