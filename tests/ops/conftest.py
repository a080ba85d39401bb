"""Fixtures of the operators."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from textrnn.native import library

NATIVE = library.load_native()


@pytest.fixture(params=NATIVE.levels or ["none"])
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this processor supports."""
    assert NATIVE.library is not None, NATIVE.reason
    NATIVE.library.textrnn_use_level(NATIVE.levels.index(request.param))
    yield request.param
    NATIVE.library.textrnn_use_level(len(NATIVE.levels) - 1)


@pytest.fixture
def nan_memory() -> Iterator[None]:
    """Fill allocated memory with NaN, so that entries that no kernel writes show up."""
    before = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = before
