"""Settings of the server: its limits, and who may use it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits and access; sizes in bytes, times in seconds.

    A batch has at most ``max_batch`` texts and waits at most ``batch_wait`` for more; ``threads`` compute it.
    ``max_queue`` texts may be admitted and not yet answered, and ``max_requests`` requests may be open. ``timeout`` is
    for a request; a stream may be idle for ``stream_timeout``. ``token`` is the bearer token that requests need (None:
    no token), ``origins`` are those that CORS allows, and ``hosts`` the names in the header Host (None: any).
    """

    threads: int = 1
    batch_wait: float = 0.002
    max_batch: int = 256
    max_body: int = 8 << 20
    max_texts: int = 1_000
    max_queue: int = 4_000
    max_requests: int = 512
    timeout: float = 30.0
    stream_timeout: float = 600.0
    token: bytes | None = None
    origins: tuple[str, ...] = ()
    hosts: frozenset[str] | None = None
