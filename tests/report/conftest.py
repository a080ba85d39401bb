"""Evaluation pages of small models."""

from __future__ import annotations

import shutil
from pathlib import Path

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
