"""The recurrences of GRU and LSTM, without gradients, by the C++ library on numpy arrays; imports no torch.

The equations, with torch's gates in torch's order, ``*`` element by element, ``a_g`` the input's part of gate ``g``
with its bias, ``U_g`` and ``d_g`` the recurrent weights and bias::

    GRU    r = sigmoid(a_r + U_r h + d_r)          LSTM    i = sigmoid(a_i + U_i h + d_i)
           z = sigmoid(a_z + U_z h + d_z)                  f = sigmoid(a_f + U_f h + d_f)
           n = tanh(a_n + r * (U_n h + d_n))               g = tanh(a_g + U_g h + d_g)
           h = (1 - z) * n + z * h                         o = sigmoid(a_o + U_o h + d_o)
                                                           c = f * c + i * g,  h = o * tanh(c)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textrnn.native import functions
from textrnn.ops.time_major import Index

Array = npt.NDArray[np.float32]

GATES = {"gru": 3, "lstm": 4}


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
    """Return the states ``h`` (N, K * D) float32 of packed sequences; direction ``k`` fills columns from ``k * D`` on.

    A sequence's states are equal to the bit whatever the other sequences, ``rows`` and ``threads`` are. Several Python
    threads may call it at once.

    Args:
        cell: ``gru`` or ``lstm``, with G = 3 or 4 gates.
        gates: (R, K, G * D) float32, the input's part of the gates, ``W x + b``. K is 1, or 2: the second direction
            walks the same rows backwards.
        offsets: (B+1,) int64; no sequence is empty.
        weight_hh: (K, G * D, D) float32.
        bias_hh: (K, G * D) float32.
        rows: (N,) int32, the row of ``gates`` for each token, if ``gates`` is a table over a vocabulary; None: token
            ``i`` has row ``i``, and R is N.
        threads: the largest number of threads to use.

    Raises:
        ValueError: an unknown cell, arrays that do not fit, an empty sequence, or rows outside ``gates``.
        BackendError: the library is not available.
        MemoryError: no memory for a copy of the weights.
    """
    if cell not in GATES:
        raise ValueError(f"cell should be one of {', '.join(GATES)}, not {cell}")
    if gates.ndim != 3 or weight_hh.ndim != 3:
        raise ValueError("gates and weight_hh should have three dimensions")
    (R, K), (D, G) = gates.shape[:2], (weight_hh.shape[2], GATES[cell])
    if K not in {1, 2} or D == 0 or gates.shape[2] != G * D or weight_hh.shape[1] != G * D:
        raise ValueError(f"gates and weight_hh do not fit {cell}: {gates.shape} and {weight_hh.shape}")
    h = np.empty((R if rows is None else len(rows), K, D), np.float32)
    functions.rnn(
        gates=_split(gates, (R, K, G, D), "gates"),
        weight=_split(weight_hh, (K, G, D, D), "weight_hh"),
        bias=_split(bias_hh, (K, G, D), "bias_hh"),
        offsets=offsets,
        rows=rows,
        h=h,
        threads=threads,
    )
    return h.reshape(len(h), K * D)


def _split(array: Array, shape: tuple[int, ...], name: str) -> Array:
    """Return a view of ``array`` with its gates apart."""
    if not array.flags.c_contiguous or array.size != np.prod(shape):
        raise ValueError(f"{name} should be contiguous, with the entries of {shape}, not {array.shape}")
    return array.reshape(shape)
