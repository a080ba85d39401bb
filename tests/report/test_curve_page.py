"""The page of a learning curve."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from curve_folder import FLAT, RISING, write_curve
from textrnn.errors import ModelError
from textrnn.report.curve_page import make_curve_page, read_curve


def make_page(folder: Path) -> str:
    record = read_curve(folder)
    assert record is not None
    return make_curve_page(record, version="1.2.3")


def test_the_page_has_the_sizes_the_estimate_and_the_command(tmp_path: Path) -> None:
    page = make_page(write_curve(tmp_path / "<out>", RISING))
    assert "&lt;out&gt;</bdi>" in page
    rows = re.findall(r'<tr><th scope="row">([\d,]+)</th><td>([\d.]+) %</td><td>([\d.]+|estimated)</td></tr>', page)
    assert rows[:3] == [("100", "50.00", "0.00"), ("200", "60.00", "1.00"), ("400", "70.00", "1.00")]
    assert (rows[3][0], rows[3][2]) == ("800", "estimated")
    assert f"Twice the labels (800 texts) promise {rows[3][1]} %: +" in page
    assert "best run of the whole set: <bdi>part-1-seed-43</bdi>" in page
    assert "<code>textrnn train --learning-curve</code>" in page
    assert page.count("<svg ") == 1
    assert "flat" not in page


def test_a_flat_curve_says_so(tmp_path: Path) -> None:
    page = make_page(write_curve(tmp_path / "out", FLAT))
    assert "<b>The curve is flat at its end.</b>" in page
    assert "no more than the variation between seeds (2.00). More labels" in page


def test_other_folders_have_no_curve_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    assert read_curve(tmp_path) is None
    folder = write_curve(tmp_path / "out", RISING)
    (folder / "summary.json").write_text('{"runs": {}, "best": "fold-1"}', encoding="utf-8")
    assert read_curve(folder) is None
    (folder / "summary.json").write_text('{"curve": {"points": []}}', encoding="utf-8")
    with pytest.raises(ModelError, match=r"summary\.json: not the summary of an experiment, or damaged"):
        read_curve(folder)
