"""Evaluation pages of small models, and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pages import Page, make_page

DATA = [
    ("tea", "green tea with lemon please"),
    ("coffee", "green tea with lemon now"),
    ("coffee", "black coffee with milk today"),
    ("tea", "black coffee with milk again"),
    ("tea", "<script>alert(1)</script> \"tea\" & 'lemon'"),
    ("coffee", "coffee \u202eklim\u202c and \x00 sugar"),
    ("<img src=x onerror=alert(2)>", "cold water"),
    ("]]></script><b>&quot;", "</script><script>alert(3)</script>"),
] * 3


@pytest.fixture(scope="session")
def page(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a small model on texts with mistakes, unknown labels and markup."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(trained / "runs", folder / "runs")
    (folder / "data.tsv").write_text("".join(f"{label}\t{text}\n" for label, text in DATA), encoding="utf-8")
    return make_page(folder, "data.tsv")


@pytest.fixture(scope="session")
def multi_label_page(trained_multi_label: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a multi-label model."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(trained_multi_label / "runs", folder / "runs")
    shutil.copy(trained_multi_label / "test.tsv", folder)
    return make_page(folder, "test.tsv")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which checks accessibility."""
    script = os.environ.get("TEXTRNN_AXE")
    if not script:
        pytest.skip("TEXTRNN_AXE does not name axe.min.js of axe-core, which .ci/run installs")
    return Path(script).read_text(encoding="utf-8")
