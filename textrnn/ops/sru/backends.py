"""The backends of the SRU recurrence, and their choice; imports no torch at module level."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from dataclasses import dataclass

from textrnn.errors import BackendError
from textrnn.native import library


@dataclass(frozen=True)
class Backend:
    """A backend, and the reason why it is or is not available."""

    name: str
    available: bool
    reason: str


def choose_backend(name: str, *, device: str = "cpu", dtype: str = "float32") -> str:
    """Return ``name``, or for ``auto`` the fastest backend on a ``device`` of this type in ``dtype``.

    Raises:
        BackendError: no backend has this name, or it is not available, or not for the device or the dtype.
    """
    if name == "auto":
        return _choose_fastest(device, dtype)
    backends = {backend.name: backend for backend in list_backends()}
    if name not in backends:
        raise BackendError(f"unknown SRU backend '{name}'; choose from {', '.join(backends)}")
    if not backends[name].available:
        raise BackendError(f"SRU backend '{name}' is not available: {backends[name].reason}")
    reason = _unsupported(name, device, dtype)
    if reason:
        raise BackendError(f"SRU backend '{name}' {reason}")
    return name


# What torch.compiler.assume_constant_result does; calling that imports torch._dynamo, which takes a second.
vars(choose_backend)["_dynamo_marked_constant"] = True


def list_backends() -> list[Backend]:
    """Return every backend, the fastest first."""
    native = library.load_native()
    return [
        _describe_cuda(),
        Backend("cpu", native.library is not None, native.reason),
        Backend("reference", True, "a time loop in torch, on any device and in any floating-point dtype; slow"),
    ]


@functools.cache
def _choose_fastest(device: str, dtype: str) -> str:
    names = [b.name for b in list_backends() if b.available and (b.name != "cuda" or _sees_gpu())]
    return next(name for name in names if not _unsupported(name, device, dtype))


def _unsupported(name: str, device: str, dtype: str) -> str:
    """Return why ``name`` does not support such tensors; empty if it does."""
    if name == "cpu" and (device != "cpu" or dtype not in library.DTYPES):
        return f"computes in float32 and bfloat16 on the CPU, not in {dtype} on {device}"
    if name == "cuda":
        required = "cpu" if is_interpreted() and not _sees_gpu() else "cuda"
        if device != required or dtype not in {"float32", "float16", "bfloat16"}:
            return f"computes in float32, float16 and bfloat16 on CUDA devices, not in {dtype} on {device}"
    return ""


def is_interpreted() -> bool:
    """Return whether Triton runs its kernels in its interpreter: for tests, very slow, never chosen by ``auto``."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@functools.cache
def _sees_gpu() -> bool:
    return bool(importlib.import_module("torch").cuda.is_available())


def _describe_cuda() -> Backend:
    if importlib.util.find_spec("triton") is None:
        return Backend("cuda", False, "the package triton is not installed; torch's CUDA builds for Linux bring it")
    if _sees_gpu():
        return Backend("cuda", True, "Triton kernels")
    if is_interpreted():
        return Backend("cuda", True, "Triton kernels in the interpreter")
    return Backend("cuda", False, "torch finds no CUDA device")
