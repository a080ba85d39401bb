"""Loading of the C++ library, and calls of its functions, which :mod:`textrnn.native.functions` declares.

The library has a plain C interface and is called through ctypes, which needs neither Python's headers nor torch's and
releases the interpreter's lock. Nothing here imports torch.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import textrnn.native
from textrnn.errors import BackendError
from textrnn.native.arguments import Layout, dtype_name

INTERFACE = 12  # kInterface of dispatch.h
DTYPES = {"float32": 4, "bfloat16": 2}
"""The dtypes that the kernels compute on, and the bytes of an element."""

_ENDING = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
_OUT_OF_MEMORY = 1  # of enum Status in dispatch.h


@dataclass(frozen=True)
class Native:
    """The loaded library, or the reason why it is not available."""

    library: ctypes.CDLL | None
    reason: str

    @property
    def levels(self) -> list[str]:
        """The instruction sets that the library was compiled for and this processor supports, the fastest last."""
        names: list[str] = []
        while self.library is not None and (name := self.library.textrnn_level(len(names))):
            names.append(name.decode())
        return names


@functools.cache
def load_native() -> Native:
    """Load the library once; never raises."""
    folders = list(textrnn.native.__path__)  # two in an editable install: the source's and the built files'
    paths = [path for folder in folders if (path := Path(folder) / f"_native{_ENDING}").is_file()]
    if not paths:
        return Native(
            None,
            "it was not compiled when textrnn was installed; install a C++ compiler, then reinstall with pip's options "
            "--force-reinstall --no-deps --no-cache-dir",
        )
    try:
        library = ctypes.CDLL(str(paths[0]))
        if library.textrnn_interface() != INTERFACE:
            return Native(None, f"{paths[0]} belongs to another version of textrnn; reinstall")
    except (OSError, AttributeError) as error:
        return Native(None, f"{paths[0]} cannot be loaded: {error}; reinstall")
    for function in (library.textrnn_level, library.textrnn_pool, library.textrnn_prepacked_instructions):
        function.restype = ctypes.c_char_p
    for name in ("lacks_prepacked", "prepacked_instructions", "can_train"):
        getattr(library, f"textrnn_{name}").argtypes = (ctypes.c_int64,)
    native = Native(library, "")
    return Native(library, f"C++ with {native.levels[-1]} instructions")


def is_available() -> bool:
    """Return whether the library is loaded."""
    return load_native().library is not None


def default_threads() -> int:
    """Return the number of threads if torch does not set it: OMP_NUM_THREADS, else the processors available."""
    try:
        return max(1, int(os.environ["OMP_NUM_THREADS"].split(",")[0]))
    except (KeyError, ValueError):
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Function:
    """A function ``int textrnn_NAME(const Args*, int threads)`` of the library.

    ``arguments`` describes the struct, see :class:`textrnn.native.arguments.Layout`; a call passes its fields by name,
    and the optional ones may be missing. ``refused`` is the message when the C++ code refuses the values in the arrays.
    """

    def __init__(self, name: str, arguments: str, *, refused: str = "") -> None:
        self._symbol, self._layout, self._refused = f"textrnn_{name}", Layout(arguments), refused

    def __call__(self, *, threads: int, **arguments: Any) -> None:
        """Call it with numpy arrays or torch CPU tensors, and numbers.

        ``threads`` is the largest number of threads to use; it changes no result.

        Raises:
            ValueError: an argument does not fit its declaration, or the C++ code refuses it.
            BackendError: the library is not available.
            MemoryError: there is not enough memory.
        """
        native = load_native()
        if native.library is None:
            raise BackendError(f"the C++ library is not available: {native.reason}")
        status = getattr(native.library, self._symbol)(self._layout.pack(**arguments), threads)
        if status:
            raise MemoryError if status == _OUT_OF_MEMORY else ValueError(self._refused)


@functools.cache
def gemm_dtypes() -> frozenset[str]:
    """Return the dtypes that :data:`textrnn.native.functions.gemm` supports; none if the processor lacks AVX-512."""
    library = load_native().library
    bits = 0 if library is None else library.textrnn_gemm_dtypes()
    return frozenset(name for name, size in DTYPES.items() if bits & size)


@functools.cache
def supports_dtype(dtype: Any) -> bool:
    """Return whether ``dtype``, numpy's or torch's, is in :func:`gemm_dtypes`."""
    return dtype_name(dtype) in gemm_dtypes()
