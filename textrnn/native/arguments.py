"""Layouts of the structs that cross the C interface, and the checks of the arrays that fill them."""

from __future__ import annotations

import functools
import math
import re
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

ELEMENTS = {"float32": 4, "bfloat16": 2, "uint16": 2, "int8": 1}
"""Bytes of an element, which tell the C++ code a dtype that varies."""

_NUMBERS = {"double": "d", "float": "f", "int64": "q", "uint64": "Q"}
_VARIABLES = {"T": ("float32", "bfloat16"), "U": ("float32", "bfloat16"), "E": ("float32", "uint16", "int8")}


@functools.cache
def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype of numpy or torch."""
    return str(dtype).removeprefix("torch.")


class _Field(NamedTuple):
    """A number, which has no shape, or an array."""

    name: str
    shape: str | None
    dtype: str
    marks: tuple[str, ...]
    default: str | None

    @classmethod
    def parse(cls, text: str) -> _Field:
        match = re.fullmatch(r"\s*(\w+)\s+(?:\((.*?)\)\s+)?(\w+)((?: \w+)*)(?: = (\w+))?\s*", text)
        assert match is not None, text
        return cls(match[1], match[2], match[3], tuple(match[4].split()), match[5])

    @property
    def dims(self) -> list[str]:
        return [dim.strip() for dim in (self.shape or "").split(",") if dim.strip()]

    @property
    def is_strided(self) -> bool:
        return "strided" in self.marks

    @property
    def code(self) -> str:
        """The format of the field for :mod:`struct`."""
        return _NUMBERS[self.dtype] if self.shape is None else "Pqq" if self.is_strided else "P"

    def __str__(self) -> str:
        dtypes = " or ".join(_VARIABLES.get(self.dtype, (self.dtype,)))
        return dtypes if self.shape is None else f"({self.shape}) {dtypes}"


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

    A small call takes about as long as its checks: the first call compiles them from the description.
    """

    def __init__(self, description: str) -> None:
        self._description = description

    @functools.cached_property
    def pack(self) -> Callable[..., bytes]:
        """A function that returns the struct for arguments by the names of the fields; the arrays must outlive its use.

        It raises ValueError for an array of another shape, dtype, device or layout, a read-only output, or a missing
        value of a field that is not optional and has no default; and TypeError for a name that no field has.
        """
        fields = [_Field.parse(text) for text in re.split(r"[;\n]", self._description.strip())]
        sizes = dict.fromkeys(re.findall("[A-Z]", "".join(dim for field in fields for dim in field.dims)))
        variables = dict.fromkeys(field.dtype for field in fields if field.dtype in _VARIABLES)
        codes = "q" * len([*sizes, *variables]) + "".join(field.code for field in fields)
        values = [f"{size} or 0" for size in sizes] + [f"elements.get({dtype}, 0)" for dtype in variables]
        values += ["*" * field.is_strided + field.name for field in fields]
        source = [f"def pack(*, {', '.join(f'{field.name}={field.default}' for field in fields)}):"]
        source += [f"{' = '.join([*sizes, *variables])} = None"]
        source += [line for field in fields for line in _write_checks(field)]
        source += [f"return pack_values({', '.join(values)})"]
        scope = {
            "dtype_name": dtype_name,
            "elements": ELEMENTS,
            "prod": math.prod,
            "refuse": _refuse,
            "locate": _locate,
        }
        scope |= {"fields": {field.name: field for field in fields}, "pack_values": struct.Struct(f"@{codes}").pack}
        exec("\n ".join(source), scope)
        return scope["pack"]  # type: ignore[return-value]


def _write_checks(field: _Field) -> list[str]:
    """Return Python code that checks an argument, sets sizes that are None, and replaces an array by its address.

    For ``x (B+1, 2) T`` it is::

        if x is None: refuse(fields['x'], x, locals())
        else:
         shape, dtype = x.shape, dtype_name(x.dtype)
         if len(shape) != 2: refuse(fields['x'], x, locals())
         if B is None: B = shape[0] - 1
         if B < 0: refuse(fields['x'], x, locals())
         if T is None and dtype in ('float32', 'bfloat16'): T = dtype
         if shape != (B+1, 2,) or dtype != T: refuse(fields['x'], x, locals())
         x = locate(x, 'x', ())
    """
    name, dims = field.name, field.dims
    refuse = f"refuse(fields[{name!r}], {name}, locals())"
    absent = f"{name} = {(0, 0, 0) if field.is_strided else 0}"
    lines = [f"if {name} is None: {absent if 'optional' in field.marks else refuse}"]
    if not dims:
        return lines
    checks = [f"shape, dtype = {name}.shape, dtype_name({name}.dtype)"]
    if dims[-1].endswith("..."):
        dims[-1] = dims[-1].removesuffix("...")
        checks += [f"shape = *shape[:{len(dims) - 1}], prod(shape[{len(dims) - 1}:])"]
    checks += [f"if len(shape) != {len(dims)}: {refuse}"]
    for i, dim in enumerate(dims):
        size, _, constant = dim.partition("+")
        if not size.isdigit():
            checks += [f"if {size} is None: {size} = shape[{i}] - {constant or 0}"]
        if constant:
            checks += [f"if {size} < 0: {refuse}"]
    dtype = repr(field.dtype)
    if field.dtype in _VARIABLES:
        dtype = field.dtype
        checks += [f"if {dtype} is None and dtype in {_VARIABLES[dtype]}: {dtype} = dtype"]
    checks += [f"if shape != ({', '.join(dims)},) or dtype != {dtype}: {refuse}"]
    checks += [f"{name} = locate({name}, {name!r}, {field.marks})"]
    return [*lines, "else:", *(f" {line}" for line in checks)]


def _refuse(field: _Field, array: Any, found: dict[str, Any]) -> None:
    """Raise the error of an argument that does not fit; ``found`` has the sizes."""
    if array is None:
        raise ValueError(f"{field.name} should be {field}, not None")
    sizes = ", ".join(f"{key} = {n}" for key, n in found.items() if key.isupper() and isinstance(n, int) and n >= 0)
    raise ValueError(f"{field.name} should be {field} ({sizes}), not {tuple(array.shape)} {dtype_name(array.dtype)}")


def _locate(array: Any, name: str, marks: tuple[str, ...]) -> Any:
    """Return the address, and for a strided matrix its strides in elements."""
    is_strided = "strided" in marks
    if hasattr(array, "data_ptr"):
        if not array.is_cpu:
            raise ValueError(f"{name} should be on the CPU, not on {array.device}")
        if is_strided:
            return (array.data_ptr(), *array.stride())
        if array.is_contiguous():
            return array.data_ptr()
    else:
        if "out" in marks and not array.flags.writeable:
            raise ValueError(f"{name} is written, but read-only")
        address = array.__array_interface__["data"][0]
        if is_strided and not any(stride % array.itemsize for stride in array.strides):
            return (address, *(stride // array.itemsize for stride in array.strides))
        if array.flags.c_contiguous and not is_strided:
            return address
    raise ValueError(f"{name} should be contiguous")
