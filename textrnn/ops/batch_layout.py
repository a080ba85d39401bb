"""The layout of a packed batch: computed once on the host, read by every layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from textrnn.ops.time_major import Index, TimeMajor, longest_first, time_major


@dataclass(frozen=True, eq=False)
class BatchLayout:
    """The offsets of a packed batch on its device, and the orders of its sequences and rows.

    ``offsets`` (B+1,) int64: sequence ``i`` is rows ``offsets[i]:offsets[i+1]``. ``longest_first`` (B,) int64 is the
    order in which the CUDA kernels start the sequences; None: they sort them. ``host`` is a copy of ``offsets`` on the
    host. A layer that copies ``offsets`` from a GPU makes it wait, so :meth:`of` starts from the copy on the host.
    """

    offsets: Tensor
    longest_first: Tensor | None = None
    host: Index | None = None

    @classmethod
    def of(cls, offsets: Index, device: torch.device) -> BatchLayout:
        """Return the layout on ``device`` of a batch with ``offsets`` (B+1,) int64."""
        order = to_device(longest_first(offsets), device) if device.type == "cuda" else None
        return cls(to_device(offsets, device), order, offsets)

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
        return to_device(self.time_major.order, self.offsets.device), torch.from_numpy(self.time_major.batch_sizes)


def to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """Return ``array`` on ``device``; a copy to CUDA runs in the background."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
