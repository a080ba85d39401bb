"""The pages that trainings and experiments write."""

from __future__ import annotations

from pathlib import Path

import pytest

from curve_folder import RISING, write_curve
from textrnn.cli.training_process import write_curve_page


@pytest.mark.parametrize("report", [True, False])
def test_the_page_of_a_curve_can_be_turned_off(report: bool, tmp_path: Path) -> None:
    folder = write_curve(tmp_path / "out", RISING, report=report)
    write_curve_page(folder)
    assert (folder / "report.html").exists() == report


def test_a_page_that_cannot_be_written_ends_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = write_curve(tmp_path / "out", RISING)
    (folder / "study.json").write_text("{", encoding="utf-8")
    write_curve_page(folder)
    message = capfd.readouterr().err
    assert message.startswith(f"textrnn: {folder / 'report.html'}: not written ({folder / 'summary.json'}: ")
    assert message.endswith("); the experiment is complete\n")
