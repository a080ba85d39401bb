"""The C++ library, called on buffers of numpy and torch alike; imports no torch.

The library has a plain C interface and is called through ctypes: it needs neither Python's headers nor torch's, one
build serves every Python, and the interpreter's lock is released while it runs.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import textrnn.native

INTERFACE = 9  # kInterface of dispatch.h
DTYPES = {"float32": 4, "bfloat16": 2}  # bytes an element

_ENDING = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


_PRODUCT = struct.Struct("@3qP2qP2qPq3q")  # of product.h
NORMED = struct.Struct("@10P4qQ2d")  # of beside.h


@dataclass(frozen=True)
class Native:
    """The loaded library, or the reason why there is none."""

    library: ctypes.CDLL | None
    reason: str

    @property
    def levels(self) -> list[str]:
        """The instruction sets that the library has and this processor runs, the fastest last."""
        names: list[str] = []
        while self.library is not None and (name := self.library.textrnn_level(len(names))):
            names.append(name.decode())
        return names


@functools.cache
def load_native() -> Native:
    """Load the library once; never raises."""
    folders = list(textrnn.native.__path__)  # two in an editable install: the source's and the built files'
    found = [path for folder in folders if (path := Path(folder) / f"_native{_ENDING}").is_file()]
    if not found:
        return Native(
            None,
            "it was not compiled when textrnn was installed; install a C++ compiler, then reinstall with pip's options "
            "--force-reinstall --no-deps --no-cache-dir",
        )
    try:
        library = ctypes.CDLL(str(found[0]))
        library.textrnn_interface.restype = ctypes.c_int
        if library.textrnn_interface() != INTERFACE:
            return Native(None, f"{found[0]} belongs to another version of textrnn; reinstall")
    except (OSError, AttributeError) as error:
        return Native(None, f"{found[0]} cannot be loaded: {error}; reinstall")
    library.textrnn_level.restype = library.textrnn_pool.restype = ctypes.c_char_p
    for name in ("sru_forward", "sru_backward", "multiply", "multiply_packed", "rnn"):
        function = getattr(library, f"textrnn_{name}")
        function.argtypes = (ctypes.c_char_p, ctypes.c_int)
        function.restype = ctypes.c_int
    library.textrnn_lacks_packed.argtypes = (ctypes.c_int64,)
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.textrnn_dropout.argtypes = (
        number,
        pointer,
        pointer,
        number,
        ctypes.c_double,
        ctypes.c_uint64,
        ctypes.c_int,
    )
    library.textrnn_pool_rows.argtypes = (number, pointer, pointer, *[number] * 3, *[pointer] * 3, ctypes.c_int)
    library.textrnn_pool_rows_back.argtypes = (number, *[pointer] * 4, *[number] * 3, pointer, ctypes.c_int)
    library.textrnn_attend.argtypes = (*[pointer] * 3, *[number] * 3, *[pointer] * 2, ctypes.c_int)
    library.textrnn_attend_back.argtypes = (*[pointer] * 6, *[number] * 3, *[pointer] * 2, ctypes.c_int)
    library.textrnn_layer_norm.argtypes = (ctypes.c_char_p, ctypes.c_int)
    library.textrnn_layer_norm_back.argtypes = (ctypes.c_char_p, pointer, pointer, ctypes.c_int)
    library.textrnn_add_rows.argtypes = (pointer, pointer, *[number] * 3, pointer, ctypes.c_int)
    library.textrnn_squares.argtypes = (ctypes.c_char_p, number, pointer, ctypes.c_int)
    library.textrnn_adamw.argtypes = (ctypes.c_char_p, number, ctypes.c_char_p, ctypes.c_int)
    library.textrnn_ngram_counts.argtypes = (ctypes.c_char_p, pointer, ctypes.c_int)
    library.textrnn_ngram_keys.argtypes = (ctypes.c_char_p, pointer, pointer, ctypes.c_int)
    library.textrnn_ngram_slots.argtypes = (pointer, number, pointer, number)
    library.textrnn_ngram_scores.argtypes = (ctypes.c_char_p, ctypes.c_char_p, pointer, ctypes.c_int)
    native = Native(library, "")
    return Native(library, f"C++ with {native.levels[-1]} instructions")


def check(status: int, *, refused: str) -> None:
    """Raise what the ``status`` means that a function of the library returned; 0 means nothing.

    Raises:
        MemoryError: the library wants more memory than there is.
        ValueError: it refuses an argument; ``refused`` is the message.
    """
    if status == 1:
        raise MemoryError
    if status:
        raise ValueError(refused)


def default_threads() -> int:
    """Return how many threads to use where torch does not say: OMP_NUM_THREADS, else the processors at hand."""
    try:
        return max(1, int(os.environ["OMP_NUM_THREADS"].split(",")[0]))
    except (KeyError, ValueError):
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def multiplies() -> frozenset[str]:
    """Return the dtypes that :func:`multiply` takes here; none where the processor has no AVX-512."""
    library = load_native().library
    bits = 0 if library is None else library.textrnn_multiplies()
    return frozenset(name for name, size in DTYPES.items() if bits & size)


@functools.cache
def element_of(dtype: Any) -> int:
    """Return the bytes of an element of ``dtype``, numpy's or torch's; 0 where the library does not know it."""
    return DTYPES.get(dtype_name(dtype), 0)


@functools.cache
def takes(dtype: Any) -> bool:
    """Return whether :func:`multiply` takes matrices of ``dtype``, numpy's or torch's, here."""
    return dtype_name(dtype) in multiplies()


def multiply(a: Any, b: Any, c: Any, *, accumulate: bool = False, threads: int) -> None:
    """Write ``a @ b`` to ``c``, or add it there.

    An entry of ``c`` is the same sum in the same order whatever the other rows and columns and ``threads`` are, in
    float32; numbers of bfloat16 that are subnormal count as zero. The matrices are numpy arrays or torch CPU tensors.

    Args:
        a: (M, K), of a dtype that :func:`multiplies` names, any strides; fastest where rows or columns are contiguous.
        b: (K, N), of the same dtype, any strides.
        c: (M, N), of that dtype or float32; its rows are contiguous.
        accumulate: add to ``c``.
        threads: how many to use at most.

    Raises:
        ValueError: dtypes, shapes or devices that do not fit, or a ``c`` that may not be written to.
        MemoryError: no memory for the copies of parts of ``a`` and ``b``.
    """
    if len(a.shape) != 2 or len(b.shape) != 2 or len(c.shape) != 2:
        raise ValueError("a, b and c should be matrices")
    (M, K), N = a.shape, b.shape[1]
    wide, out = dtype_name(a.dtype), dtype_name(c.dtype)
    if not takes(a.dtype) or b.dtype != a.dtype or out not in (wide, "float32"):
        raise ValueError(f"no product of {wide} and {dtype_name(b.dtype)} in {out} here")
    (c_row, c_column), c_address = _strides(c, written=True)
    if b.shape[0] != K or c.shape != (M, N) or (c_column != 1 and N > 1):
        raise ValueError(f"shapes or strides do not fit: {tuple(a.shape)} times {tuple(b.shape)} to {tuple(c.shape)}")
    (a_strides, a_address), (b_strides, b_address) = _strides(a), _strides(b)
    product = _PRODUCT.pack(
        *(M, N, K, a_address, *a_strides, b_address, *b_strides, c_address, c_row),
        *(DTYPES[wide], DTYPES[out], accumulate),
    )
    library = load_native().library
    if library is not None and library.textrnn_multiply(product, threads):
        raise MemoryError


def address(array: Any) -> int:
    """Return where the memory of a C-contiguous numpy array is, and 0 for None.

    Raises:
        ValueError: it lies otherwise.
    """
    if array is None:
        return 0
    if not array.flags.c_contiguous:
        raise ValueError("an array should be C-contiguous")
    return int(array.__array_interface__["data"][0])


def _strides(matrix: Any, *, written: bool = False) -> tuple[tuple[int, int], int]:
    """Return the strides in elements, and the address."""
    if hasattr(matrix, "data_ptr"):
        if not matrix.is_cpu:
            raise ValueError(f"a matrix is on {matrix.device}, not on the CPU")
        return matrix.stride(), matrix.data_ptr()
    size = matrix.itemsize
    if written and not matrix.flags.writeable:
        raise ValueError("c may not be written to")
    row, column = matrix.strides
    if row % size or column % size:
        raise ValueError(f"strides {matrix.strides} are no multiples of {size} bytes")
    return (row // size, column // size), matrix.__array_interface__["data"][0]


@functools.cache
def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype of numpy or torch."""
    return str(dtype).removeprefix("torch.")
