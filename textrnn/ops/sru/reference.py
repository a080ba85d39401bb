"""The reference backend: a time loop in torch, differentiated by autograd. It is the definition."""

from __future__ import annotations

import torch
from torch import Tensor

from textrnn.ops.sru.inputs import SruInputs
from textrnn.ops.time_major import reverse_rows


def recur(inputs: SruInputs) -> tuple[Tensor, Tensor]:
    """Compute :func:`textrnn.ops.sru.recurrence.sru_recurrence` from checked inputs."""
    u, x, c0 = inputs.u, inputs.x, inputs.c0
    (N, K, _, D), B = u.shape, len(inputs.layout)
    # c stays float32 in half precision: small updates vanish in long sequences
    dtype = torch.promote_types(u.dtype, torch.float32)
    offsets = inputs.layout.host_offsets
    if offsets[0] != 0 or offsets[-1] != N or bool((offsets[1:] < offsets[:-1]).any()):
        raise ValueError(f"offsets should rise from 0 to the {N} rows of u")
    c = u.new_zeros(B, K, D, dtype=dtype) if c0 is None else c0.to(dtype)
    if N == 0:
        return u.new_zeros(0, K, D), c
    host_rank, host_order, batch_sizes = inputs.layout.time_major
    rank, order, mirrored = (
        torch.from_numpy(index).to(u.device) for index in (host_rank, host_order, reverse_rows(offsets)[host_order])
    )
    rows = torch.stack([order, mirrored][:K], dim=1)  # (N, K): direction 1 reads each sequence from its end
    direction = torch.arange(K, device=u.device)

    ut = u[rows, direction].to(dtype)
    v_f, v_r = inputs.v.to(dtype).unbind(1)
    b_f, b_r = inputs.b.to(dtype).unbind(1)
    states, previous, final = _scan(ut[:, :, 0], ut[:, :, 1] + b_f, c[rank], v_f=v_f, sizes=batch_sizes.tolist())

    r = torch.sigmoid(ut[:, :, 2] + v_r * previous + b_r)
    highway = ut[:, :, 3] if x is None else inputs.alpha * x.to(dtype)[rows, direction]
    ht = r * states + (1 - r) * highway

    place = torch.empty_like(rows).scatter_(0, rows, torch.arange(N, device=u.device)[:, None].expand(N, K))
    h = ht[place, direction].to(u.dtype)
    return h, torch.empty_like(final).index_copy(0, rank, final).detach()


def _scan(u0: Tensor, u1: Tensor, c: Tensor, *, v_f: Tensor, sizes: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the states, those before them, both (N, K, D) in time-major order, and the final ones (B, K, D).

    ``c`` (B, K, D) and the final states are ordered longest sequence first.
    """
    states, previous, ended = [], [], []
    for u0_t, u1_t in zip(torch.split(u0, sizes), torch.split(u1, sizes), strict=True):
        if len(c) > len(u0_t):  # the shorter sequences have ended
            ended.append(c[len(u0_t) :])
            c = c[: len(u0_t)]
        previous.append(c)
        f = torch.sigmoid(torch.addcmul(u1_t, v_f, c))
        c = torch.lerp(u0_t, c, f)  # f * c + (1 - f) * u0
        states.append(c)
    return torch.cat(states), torch.cat(previous), torch.cat([c, *reversed(ended)])
