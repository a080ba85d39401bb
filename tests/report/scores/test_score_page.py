"""The page of a model of scores."""

from __future__ import annotations

import json
from pathlib import Path

from command import Run


def test_the_page_shows_errors_of_scores_and_nothing_of_labels(scored: Path, invoke: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    done = invoke("report", "rows.tsv", "-o", path, cwd=scored)
    assert done.returncode == 0, done.stderr.decode()
    page = path.read_text(encoding="utf-8")
    found = json.loads(invoke("evaluate", "rows.tsv", "--json", cwd=scored).stdout)
    assert f'data-key="mae">{found["mae"]:.4f}<' in page
    for title in ("Predicted and true scores", "Distribution of errors", "Largest errors", "Model card", "0.5 to 6.5"):
        assert title in page
    assert "Confusion" not in page
    assert "accuracy" not in page.casefold()
    assert page.count('<svg class="chart"') == 4
    assert len(page) < 200_000


def test_one_text_makes_a_page(scored: Path, invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "one.tsv").write_text("7\tlate <b>again</b>\n", encoding="utf-8")
    done = invoke("report", tmp_path / "one.tsv", "-o", tmp_path / "page.html", cwd=scored)
    assert done.returncode == 0, done.stderr.decode()
    assert "Pearson</dt>" not in (tmp_path / "page.html").read_text(encoding="utf-8")
