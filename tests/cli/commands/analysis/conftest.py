"""Predictions to compare."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A folder with rows.tsv, the trained run, and good.txt and bad.txt: predictions, of which bad.txt has 10 wrong."""
    shutil.copy(trained / "rows.tsv", tmp_path)
    shutil.copytree(trained / "runs" / "small", tmp_path / "small")
    labels = [line.split("\t")[0] for line in (tmp_path / "rows.tsv").read_text("utf-8").splitlines()]
    (tmp_path / "good.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    wrong = [("coffee" if label == "tea" else "tea") if i < 10 else label for i, label in enumerate(labels)]
    (tmp_path / "bad.txt").write_text("".join(f"{label}\t0.75\n" for label in wrong), encoding="utf-8")
    return tmp_path
