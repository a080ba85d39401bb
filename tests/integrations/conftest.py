"""A model that labels tables."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from textrnn.integrations.arrow_labeler import ArrowLabeler


@pytest.fixture(scope="session")
def model(trained: Path) -> Path:
    return trained / "runs/small"


@pytest.fixture(scope="session")
def labeler(model: Path) -> ArrowLabeler:
    return ArrowLabeler.load(model)
