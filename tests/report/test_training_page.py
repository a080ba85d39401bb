"""The page that a training writes."""

from __future__ import annotations

from pathlib import Path


def test_a_training_writes_the_page_of_its_validation_set(trained: Path) -> None:
    page = (trained / "runs/small/report.html").read_text(encoding="utf-8")
    assert "on <bdi>the validation set, held out from the training set</bdi>" in page
    assert "The texts are a part of the training set, which textrnn data check checks." in page
    assert "<dt>this page by</dt><dd><code>textrnn train --train rows.tsv" in page
