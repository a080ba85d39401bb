"""The generated reference pages agree with the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", ["commands.md", "config.md"])
def test_page_is_up_to_date(name: str) -> None:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    page = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert page == generator.PAGES[name](), f"docs/reference/{name} is stale: run python docs/generate.py"
