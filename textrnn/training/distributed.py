"""The group of processes that train one model together, as torchrun starts them, or a single process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from textrnn.errors import DataError, OtherRankError

_TIMEOUT = timedelta(minutes=30)  # long enough for rank 0 to encode the text
_VARIABLES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("TORCHELASTIC_RESTART_COUNT", "0"))


@dataclass(frozen=True)
class ProcessGroup:
    """The rank of this process, the size of its group, and how often torchrun restarted it. Only rank 0 reports."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    restarts: int = 0

    @classmethod
    def from_environment(cls) -> ProcessGroup:
        """Read the environment variables of torchrun; without them return a single process."""
        return cls(*(int(os.environ.get(name, default)) for name, default in _VARIABLES))

    @property
    def is_main(self) -> bool:
        """True for rank 0."""
        return self.rank == 0

    def join(self, device: torch.device) -> None:
        """Connect to the other ranks: by gloo on CPUs, by NCCL on CUDA devices."""
        if self.size == 1:
            return
        store, rank, size = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
        # torchrun's store survives a restart, and still holds the addresses of the processes that died
        store = distributed.PrefixStore(f"start-{self.restarts}", store)  # type: ignore[attr-defined]
        backend, own = ("nccl", device) if device.type == "cuda" else ("gloo", None)
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=_TIMEOUT, device_id=own
        )

    def leave(self) -> None:
        """Disconnect from the other ranks."""
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()

    def all_reduce(self, tensors: Iterable[Tensor]) -> None:
        """Replace each of ``tensors`` by its sum over all ranks."""
        if self.size > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)

    def any(self, truth: bool, device: torch.device) -> bool:
        """Return True if ``truth`` is True at any rank."""
        if self.size == 1:
            return truth
        flag = torch.tensor([float(truth)], device=device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag.item())

    @contextmanager
    def main_first(self, device: torch.device) -> Iterator[None]:
        """Run the block at rank 0, and at the other ranks after rank 0 has finished it.

        Raises:
            OtherRankError: rank 0 failed.
        """
        if not self.is_main:
            if self.any(False, device):
                raise OtherRankError(self.rank)
            yield
            return
        try:
            yield
        except BaseException:
            with suppress(RuntimeError):  # the other ranks may have ended already
                self.any(True, device)
            raise
        self.any(False, device)

    def check_equal(self, digest: str, steps: int, device: torch.device) -> None:
        """Check that all ranks have the same data and resume from the same step.

        Raises:
            DataError: a rank differs from rank 0.
        """
        own = torch.tensor([int(digest[:12], 16), steps], device=device)
        main = own.clone()
        distributed.broadcast(main, 0)
        if self.any(not torch.equal(own, main), device):
            raise DataError(
                "rank 0 and another rank",
                None,
                "processes read different data or checkpoints; put the data and the run folder on shared storage",
            )

    @property
    def command(self) -> list[str]:
        """The words that start textrnn again with as many processes."""
        if self.size == 1:
            return ["textrnn"]
        per_node = int(os.environ.get("LOCAL_WORLD_SIZE", self.size))
        nodes = [f"--nnodes={self.size // per_node}"] if per_node < self.size else []
        return ["torchrun", *nodes, f"--nproc-per-node={per_node}", "-m", "textrnn"]

    def barrier(self) -> None:
        """Wait until all ranks have reached this call."""
        if self.size > 1:
            distributed.barrier()
