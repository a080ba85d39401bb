"""Evaluation pages and what is in them."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

from command import run_command


class Page:
    """A page with its evaluation by ``textrnn evaluate --json``."""

    def __init__(self, path: Path, evaluation: dict[str, Any]) -> None:
        self.path, self.evaluation = path, evaluation
        self.html = path.read_text(encoding="utf-8")

    def find(self, pattern: str) -> list[Any]:
        """Return what the groups of ``pattern`` match in the page, as text."""
        found = re.findall(pattern, self.html, re.S)
        return [tuple(map(unescape, each)) if isinstance(each, tuple) else unescape(each) for each in found]

    @property
    def cells(self) -> dict[str, Any]:
        """The data of the confusion matrix."""
        [data] = re.findall(r'<script type="application/json" id="confusion-data">(.*?)</script>', self.html, re.S)
        return dict(json.loads(data))


def make_page(folder: Path, data: str) -> Page:
    """Run ``textrnn report`` and ``evaluate`` on ``data`` in ``folder``, with its latest run."""
    done = run_command("report", data, "-o", "page.html", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    evaluated = run_command("evaluate", data, "--json", cwd=folder)
    return Page(folder / "page.html", json.loads(evaluated.stdout))
