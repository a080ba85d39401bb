"""The recurrences of GRU and LSTM, without gradients, by the C++ library on numpy arrays; imports no torch.

A step of a sequence, with the gates of torch in torch's order, ``*`` element by element and ``a_g`` for what the input
gives gate ``g``, bias and all::

    GRU    r = sigmoid(a_r + U_r h + d_r)          LSTM    i = sigmoid(a_i + U_i h + d_i)
           z = sigmoid(a_z + U_z h + d_z)                  f = sigmoid(a_f + U_f h + d_f)
           n = tanh(a_n + r * (U_n h + d_n))               g = tanh(a_g + U_g h + d_g)
           h = (1 - z) * n + z * h                         o = sigmoid(a_o + U_o h + d_o)
                                                           c = f * c + i * g,  h = o * tanh(c)
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.errors import BackendError
from textrnn.native import library
from textrnn.ops.time_major import Index

Array = npt.NDArray[np.float32]

GATES = {"gru": 3, "lstm": 4}

_RECURRENT = struct.Struct("@6q6P")  # of rnn.h


def is_available() -> bool:
    """Return whether the library is there."""
    return library.load_native().library is not None


def run(
    cell: str,
    gates: Array,
    offsets: Index,
    *,
    weight_hh: Array,
    bias_hh: Array,
    rows: npt.NDArray[np.int32] | None = None,
    threads: int,
) -> Array:
    """Return the states ``h`` (N, K * D) float32 of packed sequences; direction ``k`` is in columns ``k * D`` and on.

    A sequence's states have the same bits whatever the other sequences, ``rows`` and ``threads`` are. Threads of Python
    may call it at once.

    Args:
        cell: ``gru`` or ``lstm``, with G = 3 or 4 gates.
        gates: (R, K, G * D) float32, what the input gives the gates, ``W x + b``. K is 1, or 2: the second direction
            walks the same rows backwards.
        offsets: (B+1,) int64; no sequence is empty.
        weight_hh: (K, G * D, D) float32.
        bias_hh: (K, G * D) float32.
        rows: (N,) int32, the row of ``gates`` for each token, so that they may be a table over a vocabulary; None:
            token ``i`` has row ``i``, and R is N.
        threads: how many to use at most.

    Raises:
        ValueError: another cell, arrays of other dtypes or shapes or not contiguous, offsets that do not rise by 1 at
            least from 0 to N, or rows that are not among R.
        BackendError: the library is not there.
        MemoryError: no memory for a copy of the weights.
    """
    native = library.load_native()
    if native.library is None:
        raise BackendError(f"the recurrence of {cell} in C++ is not available: {native.reason}")
    if cell not in GATES:
        raise ValueError(f"cell should be one of {', '.join(GATES)}, not {cell}")
    if gates.ndim != 3 or weight_hh.ndim != 3 or len(offsets) == 0:
        raise ValueError("gates and weight_hh should have three dimensions, and offsets one entry at least")
    (R, K), (D, G) = gates.shape[:2], (weight_hh.shape[2], GATES[cell])
    if K not in {1, 2} or D == 0:
        raise ValueError(f"there should be 1 or 2 directions and 1 column at least, not {K} and {D}")
    N, B = R if rows is None else len(rows), len(offsets) - 1
    h = np.empty((N, K * D), np.float32)
    addresses = [
        _address("offsets", offsets, (B + 1,), dtype=np.int64),
        _address("gates", gates, (R, K, G * D)),
        0 if rows is None else _address("rows", rows, (N,), dtype=np.int32),
        _address("weight_hh", weight_hh, (K, G * D, D)),
        _address("bias_hh", bias_hh, (K, G * D)),
        _address("h", h, (N, K * D)),
    ]
    status = native.library.textrnn_rnn(_RECURRENT.pack(N, B, K, G, D, R, *addresses), threads)
    refused = f"offsets should rise by 1 at least from 0 to the {N} tokens, and rows be of the {R} of gates"
    library.check(status, refused=refused)
    return h


def _address(name: str, array: npt.NDArray[Any], shape: tuple[int, ...], *, dtype: type = np.float32) -> int:
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        wanted = f"{np.dtype(dtype)} of shape {shape} and contiguous"
        raise ValueError(f"{name} should be {wanted}, not {array.dtype} of shape {array.shape}")
    return library.address(array)
