"""Settings of the server: its limits, and who may use it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits and access; sizes in bytes, times in seconds.

    A batch has at most ``max_batch`` texts and waits at most ``batch_wait`` for more; ``threads`` compute it.
    ``max_queue`` texts may be admitted and not yet answered. ``token`` is the bearer token that requests need (None: no
    token), and ``origins`` are those that CORS allows.
    """

    threads: int = 1
    batch_wait: float = 0.002
    max_batch: int = 256
    max_body: int = 8 << 20
    max_texts: int = 1_000
    max_queue: int = 4_000
    timeout: float = 30.0
    token: bytes | None = None
    origins: tuple[str, ...] = ()
