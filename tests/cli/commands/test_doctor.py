"""``textrnn doctor``."""

from __future__ import annotations

import os

import pytest

from command import Run
from textrnn.inference import Precision


def test_the_installation_is_complete(invoke: Run) -> None:
    lines = invoke("doctor").stdout.decode().splitlines()
    names = [line[:15].strip() for line in lines]
    for name in (
        "textrnn",
        "python",
        "torch",
        "devices",
        "SRU backend",
        "products",
        "prediction",
        "cache",
        "demo data",
    ):
        assert name in names
    assert not any("missing" in line for line in lines)
    assert any(line.startswith(f"cache          {os.environ['XDG_CACHE_HOME']}/textrnn (") for line in lines)


def test_unavailable_precisions_have_a_reason(invoke: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing_support(precision: Precision) -> str | None:
        return "no bfloat16 today" if precision == "bf16" else None

    monkeypatch.setattr("textrnn.inference.linear.missing_support", missing_support)
    monkeypatch.setattr("textrnn.inference.linear.find_isa", lambda precision: f"as {precision}")
    lines = invoke("doctor").stdout.decode().splitlines()
    (number,) = (i for i, line in enumerate(lines) if line.startswith("prediction "))
    assert lines[number] == "prediction     in fp32 (as fp32), int8 (as int8)"
    assert lines[number + 1] == "               not in bf16: no bfloat16 today"
