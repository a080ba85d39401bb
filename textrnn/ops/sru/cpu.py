"""The cpu backend: the C++ library, called on buffers of numpy and torch alike; imports no torch."""

from __future__ import annotations

import functools
import struct
from typing import Any

from textrnn.errors import BackendError
from textrnn.native import library
from textrnn.native.arguments import dtype_name
from textrnn.native.library import DTYPES

# the buffers of ``Problem`` of problem.h in its order: first those before ``alpha``, then those after it
_INPUTS = ("offsets", "rows", "u", "x", "v", "b", "c0", "mask")
_OUTPUTS = ("h", "states", "final", "dh", "dfinal", "du", "dx", "dv", "db", "dc0")
_WRITTEN = frozenset(_OUTPUTS) - {"dh", "dfinal"}
_PROBLEM = struct.Struct(f"@7q{len(_INPUTS)}Pd{len(_OUTPUTS)}P")
_LIKE_U = frozenset({"u", "x", "h", "dh", "du", "dx"})


def run(name: str, *, sizes: tuple[int, int, int, int, int], alpha: float, threads: int, **buffers: Any) -> None:
    """Run ``forward`` or ``backward`` over ``sizes`` (N, B, K, G, D).

    ``rows`` (N,) int32 has the row of ``u`` and ``x`` for each token, where they are tables; forward alone knows it.

    ``buffers`` are the fields of ``Problem``, C-contiguous numpy arrays or torch CPU tensors, or None where it may be
    null: ``offsets`` int64; ``u``, ``x``, ``h``, ``dh``, ``du``, ``dx`` all float32 or all bfloat16; the rest float32.
    Outputs are written whole. The results do not depend on ``threads``.

    Raises:
        ValueError: a buffer of another dtype, layout or device, a read-only one that is to be written, or offsets that
            do not rise from 0 to N, or rows that ``u`` and ``x`` do not have.
        BackendError: the library is not there.
        MemoryError: no memory for the partial sums.
    """
    native = library.load_native()
    if native.library is None:
        raise BackendError(f"SRU backend 'cpu' is not available: {native.reason}")
    wide = dtype_name(buffers["u"].dtype)
    dtypes = _wanted_dtypes(wide)
    addresses = {key: _address(key, buffer, dtypes[key]) for key, buffer in buffers.items() if buffer is not None}
    problem = _PROBLEM.pack(
        *sizes,
        len(buffers["u"]) if "rows" in addresses else sizes[0],
        DTYPES.get(wide, 0),
        *[addresses.get(name, 0) for name in _INPUTS],
        alpha,
        *[addresses.get(name, 0) for name in _OUTPUTS],
    )
    function = native.library.textrnn_sru_forward if name == "forward" else native.library.textrnn_sru_backward
    status = function(problem, threads)
    if status == 1:
        raise MemoryError
    if status:
        if wide not in DTYPES:
            raise ValueError(f"u should be float32 or bfloat16, not {wide}")
        raise ValueError(f"offsets should rise from 0 to the {sizes[0]} rows of u, and rows be some of its rows")


@functools.cache
def _wanted_dtypes(like_u: str) -> dict[str, str]:
    names = (*_INPUTS, *_OUTPUTS)
    whole = {"offsets": "int64", "rows": "int32"}
    return {name: like_u if name in _LIKE_U else whole.get(name, "float32") for name in names}


def _address(name: str, buffer: Any, wanted: str) -> int:
    if dtype_name(buffer.dtype) != wanted:
        raise ValueError(f"{name} should be {wanted}, not {dtype_name(buffer.dtype)}")
    pointer = getattr(buffer, "data_ptr", None)
    if pointer is not None:
        if buffer.is_contiguous() and buffer.is_cpu:
            return int(pointer())
        raise ValueError(f"{name} should be contiguous and on the CPU, not on {buffer.device}")
    if not buffer.flags.c_contiguous or not (buffer.flags.writeable or name not in _WRITTEN):
        raise ValueError(f"{name} should be contiguous, and what is written to not be read-only")
    return int(buffer.__array_interface__["data"][0])
