"""The reference backend: a plain time loop in torch, differentiated by autograd. It is the definition."""

from __future__ import annotations

import torch
from torch import Tensor

from textrnn.ops.time_major import reverse_rows, time_major


def recur(
    u: Tensor,
    x: Tensor | None,
    offsets: Tensor,
    *,
    v: Tensor,
    b: Tensor,
    alpha: float,
    c0: Tensor | None,
    mask: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Compute what :func:`textrnn.ops.sru.recurrence.sru_recurrence` says, with arguments that it has checked."""
    N, K, _, D = u.shape
    B = len(offsets) - 1
    # c stays float32 in half precision: small updates vanish in long sequences
    dtype = torch.promote_types(u.dtype, torch.float32)
    bounds = offsets.detach().cpu().numpy()
    if bounds[0] != 0 or bounds[-1] != N or bool((bounds[1:] < bounds[:-1]).any()):
        raise ValueError(f"offsets should rise from 0 to the {N} rows of u")
    if N == 0:
        return u.new_zeros(0, K, D), u.new_zeros(B, K, D, dtype=dtype) if c0 is None else c0.to(dtype)
    rank, order, batch_sizes = (torch.from_numpy(index).to(u.device) for index in time_major(bounds))
    mirror = torch.from_numpy(reverse_rows(bounds)).to(u.device)
    rows = torch.stack([order, mirror[order]][:K], dim=1)  # (N, K): direction 1 meets each sequence's rows from its end
    direction = torch.arange(K, device=u.device)
    lengths = offsets.to(u.device).diff()

    ut = u[rows, direction].to(dtype)
    v_f, v_r = v.to(dtype).unbind(1)
    b_f, b_r = b.to(dtype).unbind(1)
    start = u.new_zeros(B, K, D, dtype=dtype) if c0 is None else c0.to(dtype)[rank]
    states, previous = _scan(ut[:, :, 0], ut[:, :, 1] + b_f, start, v_f=v_f, sizes=batch_sizes.tolist())

    r = torch.sigmoid(ut[:, :, 2] + v_r * previous + b_r)
    highway = ut[:, :, 3] if x is None else alpha * x.to(dtype)[rows, direction]
    owner = torch.repeat_interleave(torch.arange(B, device=u.device), lengths)[order]
    output = states if mask is None else states * mask.detach().to(dtype)[owner]
    ht = r * output + (1 - r) * highway

    place = torch.empty_like(rows).scatter_(0, rows, torch.arange(N, device=u.device)[:, None].expand(N, K))
    h = ht[place, direction].to(u.dtype)
    return h, _final_states(states, c0=start, rank=rank, lengths=lengths, sizes=batch_sizes)


def _scan(u0: Tensor, u1: Tensor, c: Tensor, *, v_f: Tensor, sizes: list[int]) -> tuple[Tensor, Tensor]:
    """Return the states and those before them, both (N, K, D) in time-major order; ``c`` (B, K, D), longest first."""
    states, previous = [], []
    for u0_t, u1_t in zip(torch.split(u0, sizes), torch.split(u1, sizes), strict=True):
        c = c if len(c) == len(u0_t) else c[: len(u0_t)]  # the shorter sequences have ended
        previous.append(c)
        f = torch.sigmoid(torch.addcmul(u1_t, v_f, c))
        c = torch.lerp(u0_t, c, f)  # f * c + (1 - f) * u0
        states.append(c)
    return torch.cat(states), torch.cat(previous)


def _final_states(states: Tensor, *, c0: Tensor, rank: Tensor, lengths: Tensor, sizes: Tensor) -> Tensor:
    """Return each sequence's last state (B, K, D), in the order of the batch; ``c0`` where it is empty."""
    count = int(sizes[0])  # sequences that are not empty: the first of the rank
    starts = sizes.cumsum(0) - sizes
    last = starts[lengths[rank[:count]] - 1] + torch.arange(count, device=sizes.device)
    final = torch.cat([states[last], c0[count:]])
    return torch.empty_like(final).index_copy(0, rank, final)
