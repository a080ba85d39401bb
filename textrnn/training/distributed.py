"""The processes that train one model together, as torchrun starts them; or the one that there is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from textrnn.errors import DataError, OtherRankError

_PATIENCE = timedelta(minutes=30)  # with the first rank, which encodes the text


@dataclass(frozen=True)
class ProcessGroup:
    """This process's number among those that train together.

    Only the first writes files and says what happens.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    restarts: int = 0

    @classmethod
    def from_environment(cls) -> ProcessGroup:
        """Return what torchrun set in the environment; a single process where it set nothing."""
        return cls(*(int(os.environ.get(name, default)) for name, default in _VARIABLES))

    @property
    def was_restarted(self) -> bool:
        """Whether torchrun started the processes anew after one of them had died."""
        return self.restarts > 0

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def join(self, device: torch.device) -> None:
        """Wait for the others: gloo between CPUs, NCCL between CUDA devices."""
        if self.size == 1:
            return
        store, rank, size = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
        # under torchrun the store outlives processes that died, and with it the addresses that they left there
        store = distributed.PrefixStore(f"start-{self.restarts}", store)  # type: ignore[attr-defined]
        backend, own = ("nccl", device) if device.type == "cuda" else ("gloo", None)
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE, device_id=own
        )

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

    @contextmanager
    def leading(self, device: torch.device) -> Iterator[None]:
        """Do what the first of the ranks does before the others; they wait in :meth:`follow`."""
        try:
            yield
        except BaseException:
            with suppress(RuntimeError):  # they have gone already
                self.any(True, device)
            raise
        self.any(False, device)

    def follow(self, device: torch.device) -> None:
        """Wait for the first.

        Raises:
            OtherRankError: it has failed.
        """
        if self.any(False, device):
            raise OtherRankError(self.rank)

    def compare(self, digest: str, steps: int, device: torch.device) -> None:
        """See that all ranks have the same data, and go on from the same step.

        Raises:
            DataError: they do not.
        """
        mine = torch.tensor([int(digest[:12], 16), steps], device=device)
        theirs = mine.clone()
        distributed.broadcast(theirs, 0)
        if self.any(not torch.equal(mine, theirs), device):
            raise DataError(
                "train",
                None,
                "the processes found different text or checkpoints; put data and run folder where all can read them",
            )

    @property
    def command(self) -> list[str]:
        """The words that start as many processes again."""
        if self.size == 1:
            return ["textrnn"]
        here = int(os.environ.get("LOCAL_WORLD_SIZE", self.size))
        nodes = [f"--nnodes={self.size // here}"] if here < self.size else []
        return ["torchrun", *nodes, f"--nproc-per-node={here}", "-m", "textrnn"]

    def wait(self) -> None:
        """Wait until all have come here."""
        if self.size > 1:
            distributed.barrier()


_VARIABLES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("TORCHELASTIC_RESTART_COUNT", "0"))
