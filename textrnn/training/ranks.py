"""The processes that train one model together, as torchrun starts them; or the one that there is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Ranks:
    """This process's number among those that train together.

    Only the first writes files and says what happens.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    restarts: int = 0

    @classmethod
    def from_environment(cls) -> Ranks:
        """Return what torchrun set in the environment; a single process where it set nothing."""
        return cls(*(int(os.environ.get(name, default)) for name, default in _VARIABLES))

    @property
    def was_restarted(self) -> bool:
        """Whether torchrun started the processes anew after one of them had died."""
        return self.restarts > 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def join(self, device: torch.device) -> None:
        """Wait for the others: gloo between CPUs, NCCL between CUDA devices."""
        if self.size == 1:
            return
        store, rank, size = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
        # under torchrun the store outlives processes that died, and with it the addresses that they left there
        store = distributed.PrefixStore(f"start-{self.restarts}", store)  # type: ignore[attr-defined]
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size)

    def leave(self) -> None:
        """Take leave of the others."""
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replace each of ``tensors`` by its sum over all ranks."""
        if self.size > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)

    def any(self, truth: bool, device: torch.device) -> bool:
        """Return whether it is true for one of the ranks at least."""
        if self.size == 1:
            return truth
        flag = torch.tensor([float(truth)], device=device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag.item())

    def wait(self) -> None:
        """Wait until all have come here."""
        if self.size > 1:
            distributed.barrier()


_VARIABLES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("TORCHELASTIC_RESTART_COUNT", "0"))
