"""Which backends of the SRU recurrence there are, and whether each can run here; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from textrnn.errors import BackendError


@dataclass(frozen=True)
class Backend:
    """A backend, and the reason why it runs or does not run here."""

    name: str
    available: bool
    reason: str


def choose_backend(name: str) -> str:
    """Return the backend that ``name`` stands for: itself, or for ``auto`` the fastest that can run here.

    Raises:
        BackendError: it cannot run here, or there is none of that name.
    """
    available = [backend.name for backend in list_backends() if backend.available]
    if name == "auto":
        return available[0]
    if name not in available:
        raise BackendError(f"SRU backend '{name}' is not available; there is {', '.join(available)}")
    return name


def list_backends() -> list[Backend]:
    """Return every backend, the fastest that can run first among the available ones."""
    return [Backend("reference", True, "a time loop in torch, on any device; the only backend of this version")]
