"""The SRU recurrence on CUDA devices: Triton kernels, forward and backward. The one module that imports Triton.

A program walks one sequence in one direction for a block of columns. What the recurrence reads does not depend on it,
so Triton's pipeliner copies rows that lie ahead to shared memory while earlier ones are being computed. Products are
added with explicit fma and contraction is off: the numbers do not depend on which configuration was chosen.
"""

# Triton ships no types, and is not installed everywhere
# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

from collections.abc import Callable

import torch
import triton
import triton.language as tl
from torch import Tensor

from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru.inputs import SruInputs


@triton.jit
def _sigmoid(a: tl.tensor) -> tl.tensor:
    # the device's own exponential and reciprocal. Triton's exp and division take ten instructions more, on the path that
    # each step waits for, to treat subnormal numbers: 1 + exp is never subnormal, and a subnormal exp does not change it
    power = a * -1.4426950408889634
    if INTERPRETED:
        return 1.0 / (1.0 + tl.exp2(power))
    power = tl.inline_asm_elementwise("ex2.approx.ftz.f32 $0, $1;", "=f,f", [power], tl.float32, is_pure=True, pack=1)
    return tl.inline_asm_elementwise(
        "rcp.approx.ftz.f32 $0, $1;", "=f,f", [1.0 + power], tl.float32, is_pure=True, pack=1
    )


INTERPRETED = tl.constexpr(not isinstance(_sigmoid, triton.JITFunction))


@triton.jit
def _place(
    offsets: tl.tensor, order: tl.tensor, N: tl.tensor, K: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr
) -> tl.tensor:
    """Return the program's sequence, direction, first row, length, step, columns, and which of the columns exist."""
    blocks: tl.constexpr = (D + BLOCK - 1) // BLOCK
    program = tl.program_id(0)
    k = program // blocks % K
    i = tl.load(order + program // blocks // K)
    # clamped to the tensors: with wrong offsets the kernel would read and write out of bounds
    end = tl.minimum(tl.maximum(tl.load(offsets + i + 1), 0), N)
    start = tl.minimum(tl.maximum(tl.load(offsets + i), 0), end)
    first = tl.where(k == 0, start, end - 1)
    step = tl.where(k == 0, 1, -1).to(tl.int64)
    columns = program % blocks * BLOCK + tl.arange(0, BLOCK)
    return i, k, first, end - start, step, columns, columns < D


@triton.jit
def _part(length: tl.tensor, split: tl.tensor, SPLITS: tl.constexpr) -> tl.tensor:
    """Return the first step of a part of a sequence, and the step after its last."""
    size = (length + SPLITS - 1) // SPLITS
    begin = tl.minimum(split * size, length)
    return begin, tl.minimum(begin + size, length)


@triton.jit
def _has_previous(j: tl.constexpr, left: tl.tensor, begin: tl.tensor, SPLITS: tl.constexpr) -> tl.tensor:
    """Return whether the step before the j-th of those that are left is one of the sequence's."""
    return j + 1 < left if SPLITS == 1 else (j < left) & (j + 1 < left + begin)


@triton.jit
def _carry(
    carries: tl.tensor,
    split: tl.tensor,
    k: tl.tensor,
    columns: tl.tensor,
    inside: tl.tensor,
    K: tl.constexpr,
    D: tl.constexpr,
    SPLITS: tl.constexpr,
    dc: tl.tensor,
) -> tl.tensor:
    """Return the gradient of the state after a part of a sequence, by the carries of its later parts."""
    for m in tl.static_range(SPLITS - 1, 0, -1):
        factor, term = _load_pair(carries + m * (K * 2 * D), k, D, columns, inside)
        dc = tl.where(m > split, tl.fma(factor, dc, term), dc)
    return dc


@triton.jit
def _gates(
    u1: tl.tensor, u2: tl.tensor, c: tl.tensor, v_f: tl.tensor, v_r: tl.tensor, b_f: tl.tensor, b_r: tl.tensor
) -> tl.tensor:
    f = _sigmoid(tl.fma(v_f, c, u1.to(tl.float32) + b_f))
    r = _sigmoid(tl.fma(v_r, c, u2.to(tl.float32) + b_r))
    return f, r


@triton.jit
def _load_pair(values: tl.tensor, k: tl.tensor, D: tl.constexpr, columns: tl.tensor, inside: tl.tensor) -> tl.tensor:
    values += k * (2 * D) + columns
    return tl.load(values, mask=inside, other=0.0), tl.load(values + D, mask=inside, other=0.0)


@triton.jit
def _load_row(
    u: tl.tensor, x: tl.tensor, row: tl.tensor, live: tl.tensor, columns: tl.tensor, G: tl.constexpr, D: tl.constexpr
) -> tl.tensor:
    u += row * (G * D) + columns
    u0 = tl.load(u, mask=live, other=0.0)
    u1 = tl.load(u + D, mask=live, other=0.0)
    u2 = tl.load(u + 2 * D, mask=live, other=0.0)
    if G == 4:
        highway = tl.load(u + 3 * D, mask=live, other=0.0)
    else:
        highway = tl.load(x + row * D + columns, mask=live, other=0.0)
    return u0, u1, u2, highway


@triton.jit(do_not_specialize=["N", "bucket"])
def forward_kernel(
    u: tl.tensor,
    x: tl.tensor,
    offsets: tl.tensor,
    order: tl.tensor,
    v: tl.tensor,
    b: tl.tensor,
    c0: tl.tensor,
    h: tl.tensor,
    states: tl.tensor,
    final: tl.tensor,
    alpha: tl.tensor,
    N: tl.tensor,
    bucket: tl.tensor,
    K: tl.constexpr,
    G: tl.constexpr,
    D: tl.constexpr,
    HAS_C0: tl.constexpr,
    SAVE: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """Compute h and the final states, and the state after each step if SAVE."""
    i, k, first, length, step, columns, inside = _place(offsets, order, N, K, D, BLOCK)
    v_f, v_r = _load_pair(v, k, D, columns, inside)
    b_f, b_r = _load_pair(b, k, D, columns, inside)
    own = (i * K + k) * D + columns  # this sequence's place in c0 and final
    c = tl.full([BLOCK], 0.0, tl.float32)
    if HAS_C0:
        c = tl.load(c0 + own, mask=inside, other=0.0)
    last = c
    row = first * K + k
    step *= K
    for t in tl.range(0, length, ROWS, num_stages=STAGES):
        left = length - t
        # all loads first: if they cannot run ahead of the loop, at least they wait together
        ahead: tl.tensor = ()
        for j in tl.static_range(ROWS):
            ahead = ahead + (_load_row(u, x, row + j * step, columns < tl.where(j < left, D, 0), columns, G, D),)  # noqa: RUF005
        for j in tl.static_range(ROWS):
            u0, u1, u2, highway = ahead[j]
            u0 = u0.to(tl.float32)
            highway = highway.to(tl.float32)
            if G == 3:
                highway *= alpha
            f, r = _gates(u1, u2, c, v_f, v_r, b_f, b_r)
            c = tl.fma(f, c - u0, u0)
            last = tl.where(
                j < left, c, last
            )  # c itself continues past the end: a select in it would lengthen each step
            output = tl.fma(r, c - highway, highway)
            place = (row + j * step) * D + columns
            tl.store(h + place, output.to(h.dtype.element_ty), mask=columns < tl.where(j < left, D, 0))
            if SAVE:
                tl.store(states + place, c, mask=columns < tl.where(j < left, D, 0))
        row += ROWS * step
    tl.store(final + own, last, mask=inside)


@triton.jit(do_not_specialize=["N", "bucket"])
def backward_kernel(
    dh: tl.tensor,
    u: tl.tensor,
    x: tl.tensor,
    offsets: tl.tensor,
    order: tl.tensor,
    v: tl.tensor,
    b: tl.tensor,
    c0: tl.tensor,
    states: tl.tensor,
    du: tl.tensor,
    dx: tl.tensor,
    dv: tl.tensor,
    db: tl.tensor,
    carries: tl.tensor,
    alpha: tl.tensor,
    N: tl.tensor,
    bucket: tl.tensor,
    K: tl.constexpr,
    G: tl.constexpr,
    D: tl.constexpr,
    HAS_C0: tl.constexpr,
    SPLITS: tl.constexpr,
    CARRY: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """Compute the gradients from the states that the forward pass saved.

    Given the states, the gradient dc of the state is a linear recurrence. With SPLITS > 1 a program walks a part of its
    sequence. With CARRY it writes dc before its part as a linear function of dc after it; without, it begins with the dc
    that follows from those functions of the later parts.
    """
    split = tl.program_id(1)
    i, k, first, length, step, columns, inside = _place(offsets, order, N, K, D, BLOCK)
    begin, end = _part(length, split, SPLITS)
    share = ((i * SPLITS + split) * K + k) * (2 * D) + columns
    v_f, v_r = _load_pair(v, k, D, columns, inside)
    b_f, b_r = _load_pair(b, k, D, columns, inside)
    zeros = tl.full([BLOCK], 0.0, tl.float32)
    c_start = zeros
    if HAS_C0:
        c_start = tl.load(c0 + (i * K + k) * D + columns, mask=inside, other=0.0)
    dc = zeros
    scale = zeros + 1.0
    if not CARRY:
        dc = _carry(carries + i * (SPLITS * K * 2 * D), split, k, columns, inside, K, D, SPLITS, dc)
    dv_f = zeros
    dv_r = zeros
    db_f = zeros
    db_r = zeros
    row = (first + (end - 1) * step) * K + k
    step *= K
    for t in tl.range(0, end - begin, ROWS, num_stages=STAGES):
        left = end - begin - t
        ahead: tl.tensor = ()
        for j in tl.static_range(ROWS):
            here = row - j * step
            live = columns < tl.where(j < left, D, 0)
            u0, u1, u2, highway = _load_row(u, x, here, live, columns, G, D)
            has_prev = _has_previous(j, left, begin, SPLITS)
            c_prev = tl.load(states + (here - step) * D + columns, mask=columns < tl.where(has_prev, D, 0), other=0.0)
            g = tl.load(dh + here * D + columns, mask=live, other=0.0)
            ahead = ahead + ((u0, u1, u2, highway, c_prev, g),)  # noqa: RUF005
        for j in tl.static_range(ROWS):
            u0, u1, u2, highway, c_prev, g = ahead[j]
            u0 = u0.to(tl.float32)
            g = g.to(tl.float32)
            highway = highway.to(tl.float32)
            if G == 3:
                highway *= alpha
            c_prev = tl.where(_has_previous(j, left, begin, SPLITS), c_prev, c_start)
            f, r = _gates(u1, u2, c_prev, v_f, v_r, b_f, b_r)
            c = tl.fma(f, c_prev - u0, u0)
            dhighway = tl.fma(-g, r, g)
            dz_r = (c - highway) * r * dhighway
            slope = (c_prev - u0) * f * (1.0 - f)
            slope = tl.where(j < left, slope, 0.0)  # before the first row nothing may reach the sums; g is 0 there
            dc = tl.fma(g, r, dc)
            dz_f = dc * slope
            dv_f = tl.fma(dz_f, c_prev, dv_f)
            dv_r = tl.fma(dz_r, c_prev, dv_r)
            db_f += dz_f
            db_r += dz_r
            du0 = dc * (1.0 - f)
            # the factor of the state as one product: dc waits for two fma, not for the gates
            factor = tl.fma(slope, v_f, f)
            if CARRY:
                scale *= tl.where(j < left, factor, 1.0)
                dc = tl.where(j < left, tl.fma(dc, factor, dz_r * v_r), dc)
            else:
                dc = tl.fma(dc, factor, dz_r * v_r)
                here = row - j * step
                live = columns < tl.where(j < left, D, 0)
                at = du + here * (G * D) + columns
                tl.store(at, du0.to(du.dtype.element_ty), mask=live)
                tl.store(at + D, dz_f.to(du.dtype.element_ty), mask=live)
                tl.store(at + 2 * D, dz_r.to(du.dtype.element_ty), mask=live)
                if G == 4:
                    tl.store(at + 3 * D, dhighway.to(du.dtype.element_ty), mask=live)
                else:
                    tl.store(dx + here * D + columns, (alpha * dhighway).to(dx.dtype.element_ty), mask=live)
        row -= ROWS * step
    if CARRY:
        tl.store(carries + share, scale, mask=inside)
        tl.store(carries + share + D, dc, mask=inside)
    else:
        tl.store(dv + share, dv_f, mask=inside)
        tl.store(dv + share + D, dv_r, mask=inside)
        tl.store(db + share, db_f, mask=inside)
        tl.store(db + share + D, db_r, mask=inside)


# BLOCK columns, two or four a thread: a copy to shared memory moves 4 bytes or more. One warp a program: a second would
# only have to wait for the first. While ROWS rows are computed, the next (STAGES - 2) * ROWS are on their way. A warp can
# count 63 copies that it waits for: 4 a row forward, 6 backward, (STAGES - 1) * ROWS rows.
FORWARD_CONFIGS = [
    triton.Config({"BLOCK": 128, "ROWS": 4, "STAGES": 4}, num_warps=1),  # many sequences: fewer instructions a column
    triton.Config({"BLOCK": 64, "ROWS": 4, "STAGES": 4}, num_warps=1),  # few sequences: more programs
    triton.Config({"BLOCK": 64, "ROWS": 2, "STAGES": 6}, num_warps=1),  # short ones: fewer steps past their end
]
BACKWARD_CONFIGS = [
    triton.Config({"BLOCK": 128, "ROWS": 4, "STAGES": 3}, num_warps=1),  # a row takes longer: 4 ahead are enough
    triton.Config({"BLOCK": 64, "ROWS": 4, "STAGES": 3}, num_warps=1),
    triton.Config({"BLOCK": 64, "ROWS": 2, "STAGES": 4}, num_warps=1),  # fewer registers: more programs at once
]


PARTS_OF_FEW = 8  # parts of a sequence in the backward pass, if it has any
ENOUGH_PROGRAMS = 128  # about as many as a large device has multiprocessors
LONG = 128  # steps: a part has 16


def tune(kernel: triton.JITFunction, configs: list[triton.Config]) -> triton.JITFunction:
    """Return the kernel with the fastest configuration for a shape, measured when the shape first occurs.

    A shape is that of a layer, and the bucket of the number of sequences (:func:`bucket_of`). Triton adds the dtypes.
    """
    keys = [name for name in ("SPLITS", "CARRY") if name in kernel.arg_names]
    # not N and B themselves, which change from batch to batch. The interpreter has no device to measure on.
    return triton.autotune(configs[:1] if INTERPRETED.value else configs, key=[*keys, "K", "G", "D", "bucket"])(kernel)


def bucket_of(B: int) -> int:
    """Return a number that is the same for B of similar size: 1 to 3, 4 to 15, 16 to 63, and so on."""
    return (B.bit_length() + 1) // 2


_tuned_forward = tune(forward_kernel, FORWARD_CONFIGS)
_tuned_backward = tune(backward_kernel, BACKWARD_CONFIGS)


def forward(inputs: SruInputs, *, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``h`` (N, K, D), the state after each step if ``save``, and the final states (B, K, D).

    The states (N, K, D), or (0, K, D) without ``save``, are float32, and so are the final ones.
    """
    u, v, c0 = inputs.u, inputs.v, inputs.c0
    (N, K, G, D), B = u.shape, len(inputs.layout)
    h = torch.empty(N, K, D, dtype=u.dtype, device=u.device)
    states = torch.empty(N if save else 0, K, D, dtype=torch.float32, device=u.device)
    final = torch.empty(B, K, D, dtype=torch.float32, device=u.device)
    if h.numel() == 0:
        return h, states, final.zero_() if c0 is None else final.copy_(c0)
    # a tensor of the same dtype, which is not read, stands for an absent one, so that the key of the tuning is the same
    with torch.cuda.device(u.device if u.is_cuda else -1):
        _tuned_forward[_grid(B, K, D)](
            *(u, u if inputs.x is None else inputs.x, inputs.layout.offsets, _order(inputs.layout), v, inputs.b),
            *(v if c0 is None else c0, h, states, final, inputs.alpha, N, bucket_of(B)),
            **{"K": K, "G": G, "D": D, "HAS_C0": c0 is not None, "SAVE": save, "enable_fp_fusion": False},
        )
    return h, states, final


def backward(inputs: SruInputs, states: Tensor, dh: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """Return the gradients of u, x, v and b from the ``states`` that :func:`forward` saved."""
    u, x, v, c0 = inputs.u, inputs.x, inputs.v, inputs.c0
    (N, K, G, D), B = u.shape, len(inputs.layout)
    du = torch.empty_like(u)
    dx = None if x is None else torch.empty_like(x)
    if u.numel() == 0:
        return du, dx, torch.zeros_like(v), torch.zeros_like(inputs.b)
    splits = count_splits(B, N, K=K, D=D)
    # sums of each sequence, added afterwards in a fixed order instead of by atomics: the same bits every time
    shares = torch.empty(2, B * splits, K, 2, D, dtype=torch.float32, device=u.device)
    carries = torch.empty_like(shares[0]) if splits > 1 else shares[0]
    with torch.cuda.device(u.device if u.is_cuda else -1):
        for carry in (True, False) if splits > 1 else (False,):
            _tuned_backward[_grid(B, K, D, splits=splits)](
                *(dh, u, u if x is None else x, inputs.layout.offsets, _order(inputs.layout), v, inputs.b),
                *(v if c0 is None else c0, states, du, du if dx is None else dx, *shares, carries, inputs.alpha),
                *(N, bucket_of(B)),
                **{"K": K, "G": G, "D": D, "HAS_C0": c0 is not None, "SPLITS": splits, "CARRY": carry},
                enable_fp_fusion=False,
            )
    dv, db = shares.sum(1)
    return du, dx, dv, db


def count_splits(B: int, N: int, *, K: int, D: int) -> int:
    """Return into how many parts the backward pass splits each of B sequences with N rows in all.

    More than one for few but long sequences, whatever the device: a batch has the same gradients on all.
    """
    return PARTS_OF_FEW if B * K * -(-D // 64) < ENOUGH_PROGRAMS and N >= B * LONG else 1


def _grid(B: int, K: int, D: int, *, splits: int = 1) -> Callable[[dict[str, int]], tuple[int, int]]:
    # the first dimension for what may be many: the others are limited to 65535
    return lambda config: (B * K * -(-D // config["BLOCK"]), splits)


def _order(layout: BatchLayout) -> Tensor:
    """Return the order in which the sequences start: longest first, or the longest might end last and alone."""
    if layout.longest_first is not None:
        return layout.longest_first
    return layout.offsets.diff().argsort(descending=True, stable=True)
