"""Functions of the C++ library for the SRU recurrence; they follow the rules of :mod:`textrnn.native.library`."""

from __future__ import annotations

from typing import Any

from textrnn.native.library import Function

_SRU = (
    "u (R, K, G, D) T; x (R, K, D) T optional; offsets (B+1,) int64; rows (N,) int32 optional; v (K, 2, D) float32; "
    "b (K, 2, D) float32; c0 (B, K, D) float32 optional; alpha double; "
)
_SRU_FORWARD = Function(
    "sru_forward",
    _SRU + "h (N, K, D) T out; states (N, K, D) float32 out optional; final (B, K, D) float32 out",
    refused="offsets should rise from 0 to the number of tokens, rows be rows of u, and x be given for 3 blocks",
)
_SRU_BACKWARD = Function(
    "sru_backward",
    _SRU + "states (N, K, D) float32; dh (N, K, D) T; du (N, K, G, D) T out; dx (N, K, D) T out optional; "
    "dv (K, 2, D) float32 out; db (K, 2, D) float32 out",
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
