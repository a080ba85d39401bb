"""Choice of the device, and reproducible runs on it."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from textrnn.errors import BackendError


class HostCopy:
    """A number that is copied to the host in the background, and read later."""

    def __init__(self, number: Tensor) -> None:
        self._number, self._is_done = number.to("cpu", non_blocking=number.is_cuda), None
        if number.is_cuda and torch.cuda.is_initialized():  # type: ignore[no-untyped-call] # a tensor without memory needs no device
            self._is_done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._is_done.record(torch.cuda.current_stream(number.device))

    def read(self) -> float:
        """Return the number; wait for it if the device has not come to it yet."""
        if self._is_done is not None:
            self._is_done.synchronize()
        return float(self._number)


def resolve_device(name: str, *, local_rank: int | None = None) -> torch.device:
    """Return the device called ``name``; ``auto`` is the first CUDA device, else the CPU.

    ``local_rank`` is the number of this process among those of the machine; ``cuda`` then stands for the CUDA device of
    that number.

    Raises:
        BackendError: the device does not exist or cannot be used.
    """
    requested = name
    if local_rank is not None and name.startswith("cuda:") and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1:
        raise BackendError(
            f"device {name}: several processes would share it; use --device cuda, which gives each its own"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{local_rank or 0}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BackendError(f"device {name}: unknown device; 'textrnn doctor' lists the devices") from None
    if device.type not in {"cpu", "cuda", "mps"}:
        raise BackendError(f"device {name}: use cpu, cuda or mps")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise BackendError(f"device {requested}: no CUDA device found; use --device cpu, or run 'textrnn doctor'")
        if (device.index or 0) >= count:
            raise BackendError(f"device {name}: this machine has {count} CUDA devices, cuda:0 to cuda:{count - 1}")
        torch.cuda.set_device(device)  # the device of seeding and of NCCL
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BackendError("device mps: no Apple GPU found; use --device cpu, or run 'textrnn doctor'")
    return device


def make_repeatable(seed: int) -> None:
    """Seed torch and select deterministic kernels: the same run then gives the same bytes."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it for determinism
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms() would import torch._inductor: a second
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # all memory is written before it is read
    torch.manual_seed(seed)
