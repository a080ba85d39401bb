"""Figures with their units."""

from __future__ import annotations

import pytest

from textrnn.report.headline import format_metric


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("accuracy", 0.87654, "87.65 %"),
        ("loss", 0.43215, "0.4321"),
        ("loss", None, "-"),
        ("calibration_error", 0.0123, "1.23 points"),
    ],
)
def test_metrics_have_units(key: str, value: float | None, shown: str) -> None:
    assert format_metric(key, value) == shown
