"""Which backends of the SRU recurrence there are, and whether each can run here; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backend:
    """A backend, and the reason why it runs or does not run here."""

    name: str
    available: bool
    reason: str


def list_backends() -> list[Backend]:
    """Return every backend, the fastest that can run first among the available ones."""
    return [Backend("reference", True, "a time loop in torch, on any device; the only backend of this version")]
