"""The only door to the C++ library: loading it, and one Python function for each of its functions.

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
import struct
import sys
from collections.abc import Sequence
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
_OFFSETS = "offsets should rise from 0 to the number of rows, with no sequence empty"
TEXTS_REFUSED = "offsets should rise from 0 to the number of ids, and ids be of the spelling's vocabulary"


class _Function:
    """A function ``int textrnn_NAME(const Args*, int threads)`` of the library.

    ``refused`` is the message of the ``ValueError`` when the C++ code refuses the values in the arrays.
    """

    def __init__(self, name: str, description: str, *, refused: str = "") -> None:
        self._symbol, self._layout, self._refused = f"textrnn_{name}", Layout(description), refused

    def __call__(self, *values: Any, threads: int) -> None:
        _check(getattr(_loaded(), self._symbol)(self._layout.pack(*values), threads), self._refused)


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


def _loaded() -> ctypes.CDLL:
    native = load_native()
    if native.library is None:
        raise BackendError(f"the C++ library is not available: {native.reason}")
    return native.library


def _check(status: int, refused: str) -> None:
    if status == _OUT_OF_MEMORY:
        raise MemoryError
    if status:
        raise ValueError(refused)


_DROPOUT = _Function(
    "dropout",
    """
    x (n...) T
    y (n...) T out
    keep double
    key uint64
    """,
)


def dropout(x: Any, y: Any, *, keep: float, key: int, threads: int) -> None:
    """Write ``x / keep`` to ``y``, or 0 for the share ``1 - keep`` of the entries that ``key`` draws.

    The random number of an entry is a hash of ``key`` and its index: calling it on gradients drops the same entries.
    """
    _DROPOUT(x, y, keep, key, threads=threads)


_DROPOUT_COLUMNS = _Function(
    "dropout_columns",
    """
    x (N, D) T
    offsets (B+1,) int64
    y (N, D) T out
    keep double
    key uint64
    """,
    refused=_OFFSETS,
)


def dropout_columns(x: Any, offsets: Any, y: Any, *, keep: float, key: int, threads: int) -> None:
    """Write the dropout of ``x`` to ``y``, with the same columns dropped in all rows of a sequence.

    The random number of a column is a hash of ``key``, the sequence and the column.
    """
    _DROPOUT_COLUMNS(x, offsets, y, keep, key, threads=threads)


_LAYER_NORM = _Function(
    "layer_norm",
    """
    x (N, D) T
    offsets (B+1,) int64 optional
    y (N, D) U out optional
    n (N, D) U out
    gain (D,) float32
    bias (D,) float32
    mean (N,) float32 out optional
    rstd (N,) float32 out optional
    key uint64
    keep double
    epsilon double
    """,
    refused=_OFFSETS,
)


def layer_norm(
    x: Any,
    n: Any,
    *,
    gain: Any,
    bias: Any,
    epsilon: float,
    threads: int,
    keep: float = 1.0,
    key: int = 0,
    offsets: Any = None,
    y: Any = None,
    mean: Any = None,
    rstd: Any = None,
) -> None:
    """Write to ``y`` the dropout of ``x``, and to ``n`` the layer norm of each row of that.

    ``offsets`` has columns of sequences dropped, as :func:`dropout_columns`; without it entries are, as
    :func:`dropout`. Without ``y`` nothing is dropped. ``mean`` and ``rstd`` get the statistics that
    :func:`layer_norm_back` reads.
    """
    _LAYER_NORM(x, offsets, y, n, gain, bias, mean, rstd, key, keep, epsilon, threads=threads)


_LAYER_NORM_BACK = _Function(
    "layer_norm_back",
    """
    y (N, D) U
    offsets (B+1,) int64 optional
    gain (D,) float32
    mean (N,) float32
    rstd (N,) float32
    dy (N, D) U optional
    dn (N, D) U
    dx (N, D) T out
    dgain (D,) float32 out
    dbias (D,) float32 out
    key uint64
    keep double
    """,
    refused=_OFFSETS,
)


def layer_norm_back(
    y: Any,
    dx: Any,
    *,
    gain: Any,
    mean: Any,
    rstd: Any,
    dy: Any,
    dn: Any,
    dgain: Any,
    dbias: Any,
    keep: float,
    key: int,
    offsets: Any,
    threads: int,
) -> None:
    """Write the gradients of :func:`layer_norm`; ``y`` is its output, or its ``x`` if nothing was dropped."""
    _LAYER_NORM_BACK(y, offsets, gain, mean, rstd, dy, dn, dx, dgain, dbias, key, keep, threads=threads)


_POOL_ROWS = _Function(
    "pool_rows",
    """
    x (N, D) T
    offsets (B+1,) int64
    largest (B, D) float32 out optional
    place (B, D) int32 out optional
    mean (B, D) float32 out optional
    """,
    refused=_OFFSETS,
)


def pool_rows(x: Any, offsets: Any, *, largest: Any, place: Any, mean: Any, threads: int) -> None:
    """Write for each column of a sequence's rows the largest entry, the row that has it first, and the mean."""
    _POOL_ROWS(x, offsets, largest, place, mean, threads=threads)


_POOL_ROWS_BACK = _Function(
    "pool_rows_back",
    """
    dlargest (B, D) float32 optional
    place (B, D) int32 optional
    dmean (B, D) float32 optional
    offsets (B+1,) int64
    dx (N, D) T out
    """,
    refused=_OFFSETS,
)


def pool_rows_back(offsets: Any, dx: Any, *, dlargest: Any, place: Any, dmean: Any, threads: int) -> None:
    """Write the gradient of the ``x`` of :func:`pool_rows`."""
    _POOL_ROWS_BACK(dlargest, place, dmean, offsets, dx, threads=threads)


_ATTEND = _Function(
    "attend",
    """
    x (N, D) float32
    w (D,) float32
    offsets (B+1,) int64
    pooled (B, D) float32 out
    weights (N,) float32 out optional
    """,
    refused=_OFFSETS,
)


def attend(x: Any, w: Any, offsets: Any, *, pooled: Any, weights: Any = None, threads: int) -> None:
    """Write the mean of each sequence's rows, weighted by the softmax of ``w . tanh(row)``, and the weights."""
    _ATTEND(x, w, offsets, pooled, weights, threads=threads)


_ATTEND_BACK = _Function(
    "attend_back",
    """
    x (N, D) float32
    w (D,) float32
    offsets (B+1,) int64
    pooled (B, D) float32
    weights (N,) float32
    dpooled (B, D) float32
    dx (N, D) float32 out
    dw (B, D) float32 out
    """,
    refused=_OFFSETS,
)


def attend_back(
    x: Any, w: Any, offsets: Any, *, pooled: Any, weights: Any, dpooled: Any, dx: Any, dw: Any, threads: int
) -> None:
    """Write the gradients of :func:`attend`; ``dw`` has a row for each sequence."""
    _ATTEND_BACK(x, w, offsets, pooled, weights, dpooled, dx, dw, threads=threads)


_ADD_ROWS = _Function(
    "add_rows",
    """
    x (N, D) float32
    places (N,) int64
    sums (R, D) float32 out
    """,
    refused="places should be among the rows",
)


def add_rows(x: Any, places: Any, sums: Any, *, threads: int) -> None:
    """Write to each row of ``sums`` the sum of the rows of ``x`` whose place it is, in their order."""
    _ADD_ROWS(x, places, sums, threads=threads)


_SRU = """
    u (R, K, G, D) T
    x (R, K, D) T optional
    offsets (B+1,) int64
    rows (N,) int32 optional
    v (K, 2, D) float32
    b (K, 2, D) float32
    c0 (B, K, D) float32 optional
    alpha double
"""
_SRU_FORWARD = _Function(
    "sru_forward",
    f"""{_SRU.rstrip()}
    h (N, K, D) T out
    states (N, K, D) float32 out optional
    final (B, K, D) float32 out
    """,
    refused="offsets should rise from 0 to the number of tokens, rows be rows of u, and x be given for 3 blocks",
)
_SRU_BACKWARD = _Function(
    "sru_backward",
    f"""{_SRU.rstrip()}
    states (N, K, D) float32
    dh (N, K, D) T
    du (N, K, G, D) T out
    dx (N, K, D) T out optional
    dv (K, 2, D) float32 out
    db (K, 2, D) float32 out
    """,
    refused="offsets should rise from 0 to the number of rows of u, and x be given for 3 blocks",
)


def sru_forward(
    u: Any,
    x: Any,
    offsets: Any,
    *,
    v: Any,
    b: Any,
    alpha: float,
    h: Any,
    final: Any,
    threads: int,
    rows: Any = None,
    c0: Any = None,
    states: Any = None,
) -> None:
    """Write the outputs of the SRU recurrence; :mod:`textrnn.ops.sru.recurrence` has the equations.

    With ``rows`` (N,), token ``i`` reads row ``rows[i]`` of ``u`` and ``x``. ``states`` gets the state after each step.
    """
    _SRU_FORWARD(u, x, offsets, rows, v, b, c0, alpha, h, states, final, threads=threads)


def sru_backward(
    u: Any,
    x: Any,
    offsets: Any,
    *,
    v: Any,
    b: Any,
    c0: Any,
    alpha: float,
    states: Any,
    dh: Any,
    du: Any,
    dx: Any,
    dv: Any,
    db: Any,
    threads: int,
) -> None:
    """Write the gradients of :func:`sru_forward` from the ``states`` that it wrote; ``du`` may be ``u`` itself."""
    _SRU_BACKWARD(u, x, offsets, None, v, b, c0, alpha, states, dh, du, dx, dv, db, threads=threads)


_RNN = _Function(
    "rnn",
    """
    gates (R, K, G, D) float32
    offsets (B+1,) int64
    rows (N,) int32 optional
    weight (K, G, D, D) float32
    bias (K, G, D) float32
    h (N, K, D) float32 out
    """,
    refused="offsets should rise from 0 to the number of tokens, with no sequence empty, and rows be rows of gates",
)


def rnn(gates: Any, offsets: Any, h: Any, *, rows: Any, weight: Any, bias: Any, threads: int) -> None:
    """Write the states of GRU (G = 3) or LSTM (G = 4); :mod:`textrnn.ops.rnn_forward` has the equations."""
    _RNN(gates, offsets, rows, weight, bias, h, threads=threads)


_GEMM = _Function(
    "gemm",
    """
    a (M, K) T strided
    b (K, N) T strided
    c (M, N) U out strided
    accumulate int64
    """,
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


_GEMM_PREPACKED = _Function(
    "gemm_prepacked",
    """
    x (M, K) float32
    panels (P...) E
    first (F,) int32
    scales (F,) float32
    c (M, N) float32 out
    """,
    refused="the panels are not for this processor",
)


def gemm_prepacked(x: Any, c: Any, *, panels: Any, first: Any, scales: Any, threads: int) -> None:
    """Write the product of ``x`` and a prepacked weight to ``c``; :mod:`textrnn.ops.prepacked` has the layout."""
    _GEMM_PREPACKED(x, panels, first, scales, c, threads=threads)


def lacks_prepacked(element: int) -> int:
    """Return 1 if the processor, or 2 if the library, lacks :func:`gemm_prepacked` for ``element`` bytes, else 0."""
    return int(_loaded().textrnn_lacks_prepacked(element))


_PARAMETER = Layout(
    """
    weight (V, D...) float32 out
    mean (V, D...) float32 out
    square (V, D...) float32 out
    gradient (R, D...) float32
    rows (R,) int64 optional
    decay double
    """
)
_RATES = struct.Struct("@d6f")  # AdamWRates of nn_kernels.h


def pack_parameters(parameters: Sequence[tuple[Any, Any, Any, Any, Any, float]]) -> bytes:
    """Return what :func:`sum_of_squares` and :func:`adamw` read.

    A parameter is ``(weight, mean, square, gradient, rows, decay)``: a tensor with its moments, its gradient and its
    weight decay. With ``rows`` (R,) int64, distinct, the gradient (R, D) is of these rows of a matrix alone.
    """
    return b"".join(_PARAMETER.pack(*parameter) for parameter in parameters)


def sum_of_squares(parameters: bytes, *, threads: int) -> float:
    """Return the sum of the squares of all gradients of :func:`pack_parameters`."""
    total = ctypes.c_double()
    count = len(parameters) // _PARAMETER.size
    _check(
        _loaded().textrnn_squares(parameters, count, ctypes.byref(total), threads), "rows do not match their gradient"
    )
    return total.value


def adamw(
    parameters: bytes, *, lr: float, scale: float, betas: tuple[float, float], epsilon: float, steps: int, threads: int
) -> None:
    """Update parameters and moments by ``scale`` times their gradients in step ``steps`` (from 1).

    AdamW (Loshchilov and Hutter 2019), as ``torch.optim.AdamW`` computes it.
    """
    beta1, beta2 = betas
    rates = _RATES.pack(lr, scale, beta1, beta2, lr / (1 - beta1**steps), (1 - beta2**steps) ** -0.5, epsilon)
    count = len(parameters) // _PARAMETER.size
    _check(_loaded().textrnn_adamw(parameters, count, rates, threads), "rows should be among those of their matrix")


_NGRAMS = """
    ids (N,) int32
    offsets (B+1,) int64
    codes (P,) uint32
    spelling (V+1,) int64
"""
_NGRAM_COUNTS = _Function("ngram_counts", f"{_NGRAMS.rstrip()}\n    counts (B,) int64 out", refused=TEXTS_REFUSED)
_NGRAM_KEYS = _Function(
    "ngram_keys",
    f"""{_NGRAMS.rstrip()}
    bounds (B+1,) int64
    keys (K,) uint32 out
    """,
    refused=TEXTS_REFUSED,
)
_NGRAM_SLOTS = _Function(
    "ngram_slots",
    """
    keys (F,) uint32
    slots (S,) uint64 out
    """,
    refused="too many keys share a place",
)
_NGRAM_LOGITS = _Function(
    "ngram_logits",
    f"""{_NGRAMS.rstrip()}
    slots (S,) uint64
    values (F, C+1) float32
    bias (C,) float32
    logits (B, C) float32 out
    """,
    refused=TEXTS_REFUSED,
)


def ngram_counts(ids: Any, offsets: Any, spelling: tuple[Any, Any], counts: Any, *, threads: int) -> None:
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
