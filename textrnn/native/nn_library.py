"""Functions of the C++ library for dropout, layer norm, pooling, an embedding's gradient and AdamW.

They follow the rules of :mod:`textrnn.native.library`.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import Any

from textrnn.native.arguments import Layout
from textrnn.native.library import EMPTY_REFUSED, Function, check_status, loaded

_OFFSETS_REFUSED = "offsets should rise from 0 to the number of rows"

_DROPOUT = Function(
    "dropout",
    "x (N, D...) T; offsets (B+1,) int64 optional; y (N, D...) T out; keep double; key uint64",
    refused=_OFFSETS_REFUSED,
)


def dropout(x: Any, y: Any, *, keep: float, key: int, offsets: Any = None, threads: int) -> None:
    """Write ``x / keep`` to ``y``, or 0 for the share ``1 - keep`` of the entries that ``key`` draws.

    An entry's random number is a hash of ``key`` and its index: the same call on gradients drops the same entries. With
    ``offsets`` of sequences it is a hash of ``key``, the sequence and the column: a sequence has one mask for all rows.
    """
    _DROPOUT(x, offsets, y, keep, key, threads=threads)


_LAYER_NORM = Function(
    "layer_norm",
    "x (N, D) T; offsets (B+1,) int64 optional; y (N, D) U out optional; n (N, D) U out; gain (D,) float32; "
    "bias (D,) float32; mean (N,) float32 out optional; rstd (N,) float32 out optional; key uint64; "
    "keep double; epsilon double",
    refused=_OFFSETS_REFUSED,
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

    ``keep``, ``key`` and ``offsets`` are those of :func:`dropout`. Without ``y`` nothing is dropped. ``mean`` and
    ``rstd`` get the statistics that :func:`layer_norm_back` reads.
    """
    _LAYER_NORM(x, offsets, y, n, gain, bias, mean, rstd, key, keep, epsilon, threads=threads)


_LAYER_NORM_BACK = Function(
    "layer_norm_back",
    "y (N, D) U; offsets (B+1,) int64 optional; gain (D,) float32; mean (N,) float32; rstd (N,) float32; "
    "dy (N, D) U optional; dn (N, D) U; dx (N, D) T out; dgain (D,) float32 out; dbias (D,) float32 out; "
    "key uint64; keep double",
    refused=_OFFSETS_REFUSED,
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


_POOL_ROWS = Function(
    "pool_rows",
    "x (N, D) T; offsets (B+1,) int64; largest (B, D) float32 out optional; place (B, D) int32 out optional; "
    "mean (B, D) float32 out optional",
    refused=EMPTY_REFUSED,
)


def pool_rows(x: Any, offsets: Any, *, largest: Any, place: Any, mean: Any, threads: int) -> None:
    """Write for each column of a sequence's rows the largest entry, the row that has it first, and the mean."""
    _POOL_ROWS(x, offsets, largest, place, mean, threads=threads)


_POOL_ROWS_BACK = Function(
    "pool_rows_back",
    "dlargest (B, D) float32 optional; place (B, D) int32 optional; dmean (B, D) float32 optional; "
    "offsets (B+1,) int64; dx (N, D) T out",
    refused=EMPTY_REFUSED,
)


def pool_rows_back(offsets: Any, dx: Any, *, dlargest: Any, place: Any, dmean: Any, threads: int) -> None:
    """Write the gradient of the ``x`` of :func:`pool_rows`."""
    _POOL_ROWS_BACK(dlargest, place, dmean, offsets, dx, threads=threads)


_ATTEND = Function(
    "attend",
    "x (N, D) float32; w (D,) float32; offsets (B+1,) int64; pooled (B, D) float32 out; "
    "weights (N,) float32 out optional",
    refused=EMPTY_REFUSED,
)


def attend(x: Any, w: Any, offsets: Any, *, pooled: Any, weights: Any = None, threads: int) -> None:
    """Write the mean of each sequence's rows, weighted by the softmax of ``w . tanh(row)``, and the weights."""
    _ATTEND(x, w, offsets, pooled, weights, threads=threads)


_ATTEND_BACK = Function(
    "attend_back",
    "x (N, D) float32; w (D,) float32; offsets (B+1,) int64; pooled (B, D) float32; weights (N,) float32; "
    "dpooled (B, D) float32; dx (N, D) float32 out; dw (B, D) float32 out",
    refused=EMPTY_REFUSED,
)


def attend_back(
    x: Any, w: Any, offsets: Any, *, pooled: Any, weights: Any, dpooled: Any, dx: Any, dw: Any, threads: int
) -> None:
    """Write the gradients of :func:`attend`; ``dw`` has a row for each sequence."""
    _ATTEND_BACK(x, w, offsets, pooled, weights, dpooled, dx, dw, threads=threads)


_ADD_ROWS = Function(
    "add_rows",
    "x (N, D) float32; places (N,) int64; sums (R, D) float32 out",
    refused="places should be among the rows",
)


def add_rows(x: Any, places: Any, sums: Any, *, threads: int) -> None:
    """Write to each row of ``sums`` the sum of the rows of ``x`` whose place it is, in their order."""
    _ADD_ROWS(x, places, sums, threads=threads)


_PARAMETER = Layout(
    "weight (V, D...) float32 out; mean (V, D...) float32 out; square (V, D...) float32 out; "
    "gradient (R, D...) float32; rows (R,) int64 optional; decay double"
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
    check_status(
        loaded().textrnn_squares(parameters, count, ctypes.byref(total), threads), "rows do not match their gradient"
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
    check_status(
        loaded().textrnn_adamw(parameters, count, rates, threads), "rows should be among those of their matrix"
    )
