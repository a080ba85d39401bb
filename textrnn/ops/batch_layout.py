"""The layout of a packed batch: computed once on the host, read by every layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree

from textrnn.ops.time_major import Index, TimeMajor, longest_first, time_major

_ALIGNMENT = 16  # bytes; Triton reads rows that start so in wide pieces
Tree = TypeVar("Tree")


class LayoutArrays(NamedTuple):
    """The arrays of a layout that its device reads; :class:`BatchLayout` describes them."""

    offsets: Any
    longest_first: Any = None
    sequences: Any = None
    order: Any = None


@dataclass(frozen=True, eq=False)
class BatchLayout:
    """The offsets of a packed batch on its device, and the orders of its sequences and rows.

    ``offsets`` (B+1,) int64: sequence ``i`` is rows ``offsets[i]:offsets[i+1]``. ``longest_first`` (B,) int64 is the
    order in which the CUDA kernels start the sequences; None: they sort them. ``sequences`` (N,) int32 is the sequence
    of each row, and ``order`` (N,) int64 the rows in time-major order, both optional. ``host`` is a copy of ``offsets``
    on the host. A layer that copies ``offsets`` from a GPU makes it wait, so :meth:`of` starts from the copy on the
    host.
    """

    offsets: Tensor
    longest_first: Tensor | None = None
    sequences: Tensor | None = None
    order: Tensor | None = None
    host: Index | None = None

    @classmethod
    def of(cls, offsets: Index, device: torch.device, *, time_major: bool = False) -> BatchLayout:
        """Return the layout on ``device`` of a batch with ``offsets`` (B+1,) int64."""
        return cls.sent(send(plan_layout(offsets, device, has_order=time_major), device), offsets)

    @classmethod
    def sent(cls, arrays: LayoutArrays, host: Index) -> BatchLayout:
        """Return the layout whose ``arrays`` have been sent, of a batch with the offsets ``host``."""
        return cls(arrays.offsets, arrays.longest_first, arrays.sequences, arrays.order, host)

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    @cached_property
    def host_offsets(self) -> Index:
        """The offsets (B+1,) on the host; copied there if this layout was made from a tensor."""
        return self.offsets.detach().cpu().numpy() if self.host is None else self.host

    @cached_property
    def time_major(self) -> TimeMajor:
        """The time-major order, on the host."""
        return time_major(self.host_offsets)

    @cached_property
    def packed_order(self) -> tuple[Tensor, Tensor]:
        """``order`` (N,) on the device and ``batch_sizes`` (T,) on the host, as a ``PackedSequence`` needs them."""
        if self.order is not None:
            return self.order, torch.from_numpy(count_live(self.host_offsets))
        return send(self.time_major.order, self.offsets.device), torch.from_numpy(self.time_major.batch_sizes)


def plan_layout(offsets: Index, device: torch.device, *, has_order: bool) -> LayoutArrays:
    """Return the arrays to send to ``device`` for a batch with ``offsets``; ``has_order``: with the time-major
    order, which GRU and LSTM read."""
    if device.type != "cuda":  # the C++ library and torch compute the others when they need them
        return LayoutArrays(offsets)
    sequences = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    return LayoutArrays(offsets, longest_first(offsets), sequences, time_major(offsets).order if has_order else None)


def count_live(offsets: Index) -> Index:
    """Return the number of sequences (T,) that have step ``t``."""
    lengths = np.sort(np.diff(offsets))
    steps = np.arange(lengths[-1] if len(lengths) else 0)
    return (len(lengths) - np.searchsorted(lengths, steps, side="right")).astype(np.int64)


def send(arrays: Tree, device: torch.device) -> Any:
    """Return the arrays of a tuple, list or dict, nested or not, or a single one, as tensors on ``device``.

    To CUDA they go as one copy that runs in the background; the host waits for nothing. What is no array stays as it
    is.
    """
    leaves, tree = _pytree.tree_flatten(arrays)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, np.ndarray)]
    tensors = [torch.from_numpy(np.ascontiguousarray(leaves[i])) for i in places]
    moved = _send_together(tensors, device) if device.type == "cuda" else [tensor.to(device) for tensor in tensors]
    for i, tensor in zip(places, moved, strict=True):
        leaves[i] = tensor
    return _pytree.tree_unflatten(leaves, tree)


def _send_together(tensors: list[Tensor], device: torch.device) -> list[Tensor]:
    sizes = [tensor.numel() * tensor.element_size() for tensor in tensors]
    starts = np.append(0, np.cumsum([-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes])).tolist()
    pinned = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=True)
    for tensor, start, size in zip(tensors, starts, sizes, strict=False):
        pinned[start : start + size] = tensor.flatten().view(torch.uint8)
    there = pinned.to(device, non_blocking=True)
    return [
        there[start : start + size].view(tensor.dtype).view(tensor.shape)
        for tensor, start, size in zip(tensors, starts, sizes, strict=False)
    ]
