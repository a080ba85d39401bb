"""Counts as a sentence has them: one thing, several things."""

from __future__ import annotations


def count_of(count: int, one: str, several: str) -> str:
    """Return ``count`` and what it counts, as in ``1 text comes`` and ``2,000 texts come``."""
    return f"{count:,} {one if count == 1 else several}"
