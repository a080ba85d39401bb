"""Triton kernels for what a training step does between its products and recurrences; ``ops/fused.py`` calls them.

A sum over many rows has a fixed number of parts, which are added in a fixed order: the same bits on every device.
"""

# Triton ships no types, and is not installed everywhere
# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 4  # of a sequence, or of a table, that a program reads at once
PARTS = 512  # of the sums over all rows that a layer norm's gradients are


# Triton's own sums and maxima are defined when Triton is imported, for a device or for the interpreter; these with the
# kernels


@triton.jit
def _add(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return a + b


@triton.jit
def _larger(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return tl.maximum(a, b)


@triton.jit
def _sum(x: tl.tensor, axis: tl.constexpr) -> tl.tensor:
    return tl.reduce(x, axis, _add)


@triton.jit
def _is_kept(key: tl.tensor, unit: tl.tensor, columns: tl.tensor, limit: tl.tensor, D: tl.constexpr) -> tl.tensor:
    # the hash of the C++ library (nn_kernels.cpp): the same places are kept for a key on the CPU and here
    place = unit.to(tl.int64) * D + columns
    key = tl.cast(key, tl.int64)
    bits = place.to(tl.uint32) * 0x9E3779B9 + key.to(tl.uint32) + (place >> 32).to(tl.uint32) * 0x85EBCA6B
    bits ^= bits >> 16
    bits *= 0x7FEB352D
    bits ^= (bits >> 15) ^ (key >> 32).to(tl.uint32)
    bits *= 0x846CA68B
    bits ^= bits >> 16
    return (bits >> 8).to(tl.int32) < limit


@triton.jit
def _tanh(x: tl.tensor) -> tl.tensor:
    return 2.0 / (1.0 + tl.exp(-2.0 * x)) - 1.0


@triton.jit(do_not_specialize=["key", "limit"])
def dropout_norm_kernel(
    x: tl.tensor,
    sequences: tl.tensor,
    gain: tl.tensor,
    bias: tl.tensor,
    y: tl.tensor,
    n: tl.tensor,
    mean: tl.tensor,
    rstd: tl.tensor,
    keep: tl.tensor,
    key: tl.tensor,
    limit: tl.tensor,
    epsilon: tl.tensor,
    D: tl.constexpr,
    BY_SEQUENCE: tl.constexpr,
    DROP: tl.constexpr,
    COPY: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Write the dropout y of a row of x, and n, the layer norm of y. Without COPY y is x."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < D
    value = tl.load(x + row * D + columns, mask=inside, other=0.0).to(tl.float32)
    if DROP:
        unit = tl.load(sequences + row).to(tl.int64) if BY_SEQUENCE else row
        value = tl.where(_is_kept(key, unit, columns, limit, D), value / keep, 0.0)
    value = value.to(y.dtype.element_ty)
    if COPY:
        tl.store(y + row * D + columns, value, mask=inside)
    value = value.to(tl.float32)
    mu = _sum(value, 0) / D
    centered = tl.where(inside, value - mu, 0.0)
    scale = 1.0 / tl.sqrt(_sum(centered * centered, 0) / D + epsilon)
    g = tl.load(gain + columns, mask=inside, other=0.0)
    b = tl.load(bias + columns, mask=inside, other=0.0)
    tl.store(n + row * D + columns, (centered * scale * g + b).to(n.dtype.element_ty), mask=inside)
    tl.store(mean + row, mu)
    tl.store(rstd + row, scale)


@triton.jit(do_not_specialize=["key", "limit", "N"])
def dropout_norm_back_kernel(
    y: tl.tensor,
    dy: tl.tensor,
    dn: tl.tensor,
    sequences: tl.tensor,
    gain: tl.tensor,
    mean: tl.tensor,
    rstd: tl.tensor,
    dx: tl.tensor,
    sums: tl.tensor,
    keep: tl.tensor,
    key: tl.tensor,
    limit: tl.tensor,
    N: tl.tensor,
    D: tl.constexpr,
    BY_SEQUENCE: tl.constexpr,
    DROP: tl.constexpr,
    HAS_DY: tl.constexpr,
    BLOCK: tl.constexpr,
    PARTS: tl.constexpr,
) -> None:
    """Write dx, and a program's share of the gradients of gain and bias, to sums."""
    part = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    inside = columns < D
    g = tl.load(gain + columns, mask=inside, other=0.0)
    dgain = tl.full([BLOCK], 0.0, tl.float32)
    dbias = tl.full([BLOCK], 0.0, tl.float32)
    for number in range(part, N, PARTS):
        row = tl.cast(number, tl.int64)
        scale = tl.load(rstd + row)
        value = tl.load(y + row * D + columns, mask=inside, other=0.0).to(tl.float32)
        unscaled = tl.where(inside, (value - tl.load(mean + row)) * scale, 0.0)
        upstream = tl.load(dn + row * D + columns, mask=inside, other=0.0).to(tl.float32)
        dgain += upstream * unscaled
        dbias += upstream
        upstream *= g
        along = _sum(upstream * unscaled, 0) / D
        gradient = (upstream - unscaled * along - _sum(upstream, 0) / D) * scale
        if HAS_DY:
            gradient += tl.load(dy + row * D + columns, mask=inside, other=0.0).to(tl.float32)
        if DROP:
            unit = tl.load(sequences + row).to(tl.int64) if BY_SEQUENCE else row
            gradient = tl.where(_is_kept(key, unit, columns, limit, D), gradient / keep, 0.0)
        tl.store(dx + row * D + columns, gradient.to(dx.dtype.element_ty), mask=inside)
    tl.store(sums + part * (2 * D) + columns, dgain, mask=inside)
    tl.store(sums + part * (2 * D) + D + columns, dbias, mask=inside)


@triton.jit
def attend_kernel(
    h: tl.tensor,
    w: tl.tensor,
    offsets: tl.tensor,
    pooled: tl.tensor,
    scores: tl.tensor,
    totals: tl.tensor,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Write the weighted mean of a sequence's rows, the rows' scores, and the logarithm of the sum of their powers."""
    i = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < D
    direction = tl.load(w + columns, mask=inside, other=0.0)[None, :]
    start = tl.load(offsets + i)
    end = tl.load(offsets + i + 1)
    top = tl.full([], float("-inf"), tl.float32)
    total = tl.full([], 0.0, tl.float32)
    mean = tl.full([BLOCK], 0.0, tl.float32)
    for first in range(start, end, ROWS):
        rows = first + tl.arange(0, ROWS)
        live = (rows < end)[:, None] & inside[None, :]
        tile = tl.load(h + rows[:, None] * D + columns[None, :], mask=live, other=0.0).to(tl.float32)
        score = _sum(_tanh(tile) * direction, 1)
        tl.store(scores + rows, score, mask=rows < end)
        score = tl.where(rows < end, score, float("-inf"))
        highest = tl.maximum(top, tl.reduce(score, 0, _larger))
        power = tl.exp(score - highest)
        faded = tl.exp(top - highest)
        mean = mean * faded + _sum(power[:, None] * tile, 0)
        total = total * faded + _sum(power, 0)
        top = highest
    tl.store(pooled + i * D + columns, mean / total, mask=inside)
    tl.store(totals + i, top + tl.log(total))


@triton.jit
def attend_back_kernel(
    h: tl.tensor,
    w: tl.tensor,
    offsets: tl.tensor,
    pooled: tl.tensor,
    scores: tl.tensor,
    totals: tl.tensor,
    dpooled: tl.tensor,
    dh: tl.tensor,
    dw: tl.tensor,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Write dh of a sequence's rows, and its share of the gradient of w."""
    i = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < D
    direction = tl.load(w + columns, mask=inside, other=0.0)[None, :]
    start = tl.load(offsets + i)
    end = tl.load(offsets + i + 1)
    total = tl.load(totals + i)
    upstream = tl.load(dpooled + i * D + columns, mask=inside, other=0.0).to(tl.float32)
    base = _sum(upstream * tl.load(pooled + i * D + columns, mask=inside, other=0.0), 0)
    share = tl.full([BLOCK], 0.0, tl.float32)
    for first in range(start, end, ROWS):
        rows = first + tl.arange(0, ROWS)
        live = (rows < end)[:, None] & inside[None, :]
        places = rows[:, None] * D + columns[None, :]
        tile = tl.load(h + places, mask=live, other=0.0).to(tl.float32)
        weight = tl.exp(tl.load(scores + rows, mask=rows < end, other=float("-inf")) - total)
        dscore = weight * (_sum(tile * upstream[None, :], 1) - base)
        bent = _tanh(tile)
        share += _sum(dscore[:, None] * bent, 0)
        gradient = weight[:, None] * upstream[None, :] + dscore[:, None] * direction * (1.0 - bent * bent)
        tl.store(dh + places, gradient.to(dh.dtype.element_ty), mask=live)
    tl.store(dw + i * D + columns, share, mask=inside)


@triton.jit
def add_rows_kernel(
    x: tl.tensor,
    order: tl.tensor,
    starts: tl.tensor,
    sums: tl.tensor,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Write the sum of the rows order[starts[i]:starts[i + 1]] of x."""
    i = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < D
    end = tl.load(starts + i + 1)
    total = tl.full([BLOCK], 0.0, tl.float32)
    for first in range(tl.load(starts + i), end, ROWS):
        at = first + tl.arange(0, ROWS)
        rows = tl.load(order + at, mask=at < end, other=0).to(tl.int64)
        live = (at < end)[:, None] & inside[None, :]
        total += _sum(tl.load(x + rows[:, None] * D + columns[None, :], mask=live, other=0.0).to(tl.float32), 0)
    tl.store(sums + i * D + columns, total, mask=inside)


@triton.jit
def _log_softmax(logits: tl.tensor, inside: tl.tensor) -> tl.tensor:
    shifted = logits - tl.reduce(tl.where(inside, logits, float("-inf")), 0, _larger)
    return shifted - tl.log(_sum(tl.where(inside, tl.exp(shifted), 0.0), 0))


@triton.jit
def loss_kernel(
    logits: tl.tensor,
    targets: tl.tensor,
    losses: tl.tensor,
    dlogits: tl.tensor,
    smoothing: tl.tensor,
    r_drop: tl.tensor,
    B: tl.tensor,
    C: tl.constexpr,
    TWICE: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Write a text's loss and its gradients with respect to the logits; if TWICE, of both of its predictions."""
    i = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < C
    target = tl.load(targets + i)
    known = tl.where(target >= 0, 1.0, 0.0)
    wanted = tl.where(columns == target, 1.0 - smoothing, 0.0) + smoothing / C
    first = _log_softmax(tl.load(logits + i * C + columns, mask=inside, other=0.0).to(tl.float32), inside)
    p = tl.where(inside, tl.exp(first), 0.0)
    loss = -_sum(tl.where(inside, wanted * first, 0.0), 0)
    gradient = p - wanted
    if TWICE:
        twin = (i + B) * C + columns
        second = _log_softmax(tl.load(logits + twin, mask=inside, other=0.0).to(tl.float32), inside)
        q = tl.where(inside, tl.exp(second), 0.0)
        ratio = tl.where(inside, first - second, 0.0)
        loss -= _sum(tl.where(inside, wanted * second, 0.0), 0)
        loss = 0.5 * (loss + 0.5 * r_drop * _sum((p - q) * ratio, 0))
        along_p = p * ratio + p - q
        along_q = q * ratio + p - q
        other = 0.5 * (q - wanted - 0.5 * r_drop * (along_q - q * _sum(along_q, 0)))
        gradient = 0.5 * (gradient + 0.5 * r_drop * (along_p - p * _sum(along_p, 0)))
        tl.store(dlogits + twin, known * other, mask=inside)
    tl.store(dlogits + i * C + columns, known * gradient, mask=inside)
    tl.store(losses + i, known * loss)


def dropout_norm(x: Tensor, *rest: Any) -> None:
    """Run ``dropout_norm_kernel``; the arguments are those of the operator in ``ops/fused.py``."""
    sequences, gain, bias, y, n, mean, rstd, keep, key, epsilon = rest
    with _on(x):
        dropout_norm_kernel[(len(x),)](
            *(
                x,
                x if sequences is None else sequences,
                gain,
                bias,
                y,
                n,
                mean,
                rstd,
                keep,
                key,
                _limit(keep),
                epsilon,
                x.shape[1],
            ),
            **{"BY_SEQUENCE": sequences is not None, "DROP": keep < 1, "COPY": y is not x, **_shape(x)},
        )


def dropout_norm_back(y: Tensor, *rest: Any) -> None:
    """Run ``dropout_norm_back_kernel`` likewise."""
    dy, dn, sequences, gain, mean, rstd, dx, sums, keep, key = rest
    with _on(y):
        dropout_norm_back_kernel[(len(sums),)](
            *(y, y if dy is None else dy, dn, y if sequences is None else sequences),
            *(gain, mean, rstd, dx, sums, keep, key, _limit(keep), len(y), y.shape[1]),
            **{"BY_SEQUENCE": sequences is not None, "DROP": keep < 1, "HAS_DY": dy is not None},
            **_shape(y),
            PARTS=PARTS,
        )


def attend(h: Tensor, *rest: Tensor) -> None:
    """Run ``attend_kernel`` likewise."""
    with _on(h):
        attend_kernel[(len(rest[2]),)](h, *rest, h.shape[1], ROWS=ROWS, **_shape(h))


def attend_back(h: Tensor, *rest: Tensor) -> None:
    """Run ``attend_back_kernel`` likewise."""
    with _on(h):
        attend_back_kernel[(len(rest[2]),)](h, *rest, h.shape[1], ROWS=ROWS, **_shape(h))


def add_rows(x: Tensor, *rest: Tensor) -> None:
    """Run ``add_rows_kernel`` likewise."""
    with _on(x):
        add_rows_kernel[(len(rest[2]),)](x, *rest, x.shape[1], ROWS=ROWS, **_shape(x))


def softmax_loss(logits: Tensor, *rest: Any) -> None:
    """Run ``loss_kernel`` likewise."""
    targets, losses, dlogits, smoothing, r_drop = rest
    with _on(logits):
        loss_kernel[(len(losses),)](
            *(logits, targets, losses, dlogits, smoothing, r_drop or 0.0, len(losses), logits.shape[1]),
            TWICE=r_drop is not None,
            **_shape(logits),
        )


def _limit(keep: float) -> int:
    return int(np.float32(keep) * np.float32(2**24))  # of 24 bits


def count_warps(D: int) -> int:
    """Return the warps of a program for rows of D columns: at most eight columns a thread."""
    return int(min(max(4, triton.next_power_of_2(D) // 256), 16))


def _shape(x: Tensor) -> dict[str, int]:
    D = x.shape[1]
    return {"BLOCK": triton.next_power_of_2(D), "num_warps": count_warps(D)}


def _on(x: Tensor) -> torch.cuda.device:
    return torch.cuda.device(x.device if x.is_cuda else -1)
