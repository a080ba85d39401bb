"""The only door to the C++ library, with :mod:`textrnn.native.nn_library`: a Python function for each C++ function.

The library has a plain C interface and is called through ctypes, which needs neither Python's headers nor torch's and
releases the interpreter's lock. Every function takes numpy arrays and torch CPU tensors alike; nothing here imports
torch. Arguments are described once, as a :class:`textrnn.native.arguments.Layout`, and checked against it.

All functions raise ``ValueError`` for an argument that does not fit its layout or that the C++ code refuses,
``BackendError`` if the library is not available, and ``MemoryError``. Results do not depend on ``threads``, the
largest number of threads to use.
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

INTERFACE = 9  # kInterface of dispatch.h
DTYPES = {"float32": 4, "bfloat16": 2}
"""The dtypes that the kernels compute on, and the bytes of an element."""

_ENDING = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
_OUT_OF_MEMORY = 1  # of enum Status in dispatch.h
EMPTY_REFUSED = "offsets should rise from 0 to the number of rows, with no sequence empty"
TEXTS_REFUSED = "offsets should rise from 0 to the number of ids, and ids be of the spelling's vocabulary"


class Function:
    """A function ``int textrnn_NAME(const Args*, int threads)`` of the library.

    ``refused`` is the message of the ``ValueError`` when the C++ code refuses the values in the arrays.
    """

    def __init__(self, name: str, description: str, *, refused: str = "") -> None:
        self._symbol, self._layout, self._refused = f"textrnn_{name}", Layout(description), refused

    def __call__(self, *values: Any, threads: int) -> None:
        """Call it with the arrays and numbers of its layout, in order."""
        check_status(getattr(loaded(), self._symbol)(self._layout.pack(*values), threads), self._refused)


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
    library.textrnn_level.restype = library.textrnn_pool.restype = ctypes.c_char_p
    library.textrnn_lacks_prepacked.argtypes = (ctypes.c_int64,)
    library.textrnn_squares.argtypes = (ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int)
    library.textrnn_adamw.argtypes = (ctypes.c_char_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_int)
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


def loaded() -> ctypes.CDLL:
    """Return the library, or raise BackendError with the reason why it is not available."""
    native = load_native()
    if native.library is None:
        raise BackendError(f"the C++ library is not available: {native.reason}")
    return native.library


def check_status(status: int, refused: str) -> None:
    """Raise the error that the ``status`` of a call means; ``refused`` is the message of a ValueError."""
    if status == _OUT_OF_MEMORY:
        raise MemoryError
    if status:
        raise ValueError(refused)


_RNN = Function(
    "rnn",
    "gates (R, K, G, D) float32; offsets (B+1,) int64; rows (N,) int32 optional; weight (K, G, D, D) float32; "
    "bias (K, G, D) float32; h (N, K, D) float32 out",
    refused="offsets should rise from 0 to the number of tokens, with no sequence empty, and rows be rows of gates",
)


def rnn(gates: Any, offsets: Any, h: Any, *, rows: Any, weight: Any, bias: Any, threads: int) -> None:
    """Write the states of GRU (G = 3) or LSTM (G = 4); :mod:`textrnn.ops.rnn_forward` has the equations."""
    _RNN(gates, offsets, rows, weight, bias, h, threads=threads)


_GEMM = Function(
    "gemm",
    "a (M, K) T strided; b (K, N) T strided; c (M, N) U out strided; accumulate int64",
    refused="this processor has no product of these dtypes, or the rows of c are not contiguous",
)


def gemm(a: Any, b: Any, c: Any, *, accumulate: bool = False, threads: int) -> None:
    """Write ``a @ b`` to ``c``, or add it there.

    An entry of ``c`` is the same sum in the same order whatever the other rows and columns are, in float32; subnormal
    numbers in bfloat16 count as zero. ``a`` and ``b`` have the same dtype, of :func:`gemm_dtypes`, and any strides:
    contiguous rows or columns are fastest. ``c`` has that dtype or float32, and contiguous rows.
    """
    _GEMM(a, b, c, accumulate, threads=threads)


@functools.cache
def gemm_dtypes() -> frozenset[str]:
    """Return the dtypes that :func:`gemm` supports here; none if the processor lacks AVX-512."""
    library = load_native().library
    bits = 0 if library is None else library.textrnn_gemm_dtypes()
    return frozenset(name for name, size in DTYPES.items() if bits & size)


@functools.cache
def supports_dtype(dtype: Any) -> bool:
    """Return whether :func:`gemm` supports ``dtype``, numpy's or torch's, here."""
    return dtype_name(dtype) in gemm_dtypes()


_GEMM_PREPACKED = Function(
    "gemm_prepacked",
    "x (M, K) float32; panels (P...) E; first (F,) int32; scales (F,) float32; c (M, N) float32 out",
    refused="the panels are not for this processor",
)


def gemm_prepacked(x: Any, c: Any, *, panels: Any, first: Any, scales: Any, threads: int) -> None:
    """Write the product of ``x`` and a prepacked weight to ``c``; :mod:`textrnn.ops.prepacked` has the layout."""
    _GEMM_PREPACKED(x, panels, first, scales, c, threads=threads)


def lacks_prepacked(element: int) -> int:
    """Return 1 if the processor, or 2 if the library, lacks :func:`gemm_prepacked` for ``element`` bytes, else 0."""
    return int(loaded().textrnn_lacks_prepacked(element))


_NGRAMS = "ids (N,) int32; offsets (B+1,) int64; codes (P,) uint32; spelling (V+1,) int64; "
_NGRAM_COUNTS = Function("ngram_counts", _NGRAMS + "counts (B,) int64 out", refused=TEXTS_REFUSED)
_NGRAM_KEYS = Function("ngram_keys", _NGRAMS + "bounds (B+1,) int64; keys (K,) uint32 out", refused=TEXTS_REFUSED)
_NGRAM_SLOTS = Function("ngram_slots", "keys (F,) uint32; slots (S,) uint64 out", refused="too many keys share a slot")
_NGRAM_LOGITS = Function(
    "ngram_logits",
    _NGRAMS + "slots (S,) uint64; values (F, C+1) float32; bias (C,) float32; logits (B, C) float32 out",
    refused=TEXTS_REFUSED,
)


def ngram_counts(ids: Any, offsets: Any, spelling: tuple[Any, Any], *, counts: Any, threads: int) -> None:
    """Write the number of n-grams of each text; :mod:`textrnn.models.ngram.features` defines them."""
    _NGRAM_COUNTS(ids, offsets, *spelling, counts, threads=threads)


def ngram_keys(ids: Any, offsets: Any, spelling: tuple[Any, Any], *, bounds: Any, keys: Any, threads: int) -> None:
    """Write the keys of the n-grams of all texts; ``bounds`` are the cumulative counts, from 0."""
    _NGRAM_KEYS(ids, offsets, *spelling, bounds, keys, threads=threads)


def ngram_slots(keys: Any, slots: Any) -> None:
    """Fill the hash table ``slots``, all 0 before, whose size is a power of two, with ``keys``."""
    _NGRAM_SLOTS(keys, slots, threads=1)


def ngram_logits(
    ids: Any, offsets: Any, spelling: tuple[Any, Any], *, table: tuple[Any, Any, Any], logits: Any, threads: int
) -> None:
    """Write the logits of the linear model ``table``: slots, values and bias."""
    _NGRAM_LOGITS(ids, offsets, *spelling, *table, logits, threads=threads)
