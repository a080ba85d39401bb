"""Choosing the device, and making what runs on it repeatable."""

from __future__ import annotations

import os

import torch

from textrnn.errors import BackendError


def resolve_device(name: str, *, local_rank: int | None = None) -> torch.device:
    """Return the device called ``name``; ``auto`` is the first CUDA device, else the CPU.

    Of several processes on a machine, each has ``local_rank`` and takes the CUDA device of that number where none is
    named.

    Raises:
        BackendError: the device is not there.
    """
    asked = name
    if local_rank is not None and name.startswith("cuda:") and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1:
        raise BackendError(f"device {name}: several processes would share it; --device cuda gives each one of its own")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{local_rank or 0}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BackendError(f"device {name}: there is no such device; see 'textrnn doctor'") from None
    if device.type not in {"cpu", "cuda", "mps"}:
        raise BackendError(f"device {name}: textrnn computes on cpu, cuda and mps")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise BackendError(f"device {asked}: no CUDA device here; use --device cpu, or see 'textrnn doctor'")
        if (device.index or 0) >= count:
            raise BackendError(f"device {name}: there are {count} CUDA devices, cuda:0 to cuda:{count - 1}")
        torch.cuda.set_device(device)  # which seeding and NCCL mean
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BackendError("device mps: no Apple GPU here; use --device cpu, or see 'textrnn doctor'")
    return device


def make_repeatable(seed: int) -> None:
    """Seed torch and have it take deterministic kernels, so that the same run gives the same bytes."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for this to be deterministic
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # all of it is written before it is read
    torch.manual_seed(seed)
