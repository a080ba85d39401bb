"""Fixtures of the tests of data."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.data.cache import Cache


@pytest.fixture
def small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files in pieces of 100 bytes, in chunks of 500."""
    monkeypatch.setattr("textrnn.data.reading.io.read_chunks.__defaults__", (500,))
    for module in ("io", "decompression"):
        monkeypatch.setattr(f"textrnn.data.reading.{module}._BLOCK_BYTES", 100)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache folder; a note that it cannot be written fails the test."""
    return Cache.open(str(tmp_path / "cache"), pytest.fail)
