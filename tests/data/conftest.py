"""Fixtures of the tests of data."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.data.cache import Cache


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache folder; a note that it cannot be written fails the test."""
    return Cache.open(str(tmp_path / "cache"), pytest.fail)
