"""The verdicts of ``textrnn compare``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from command import Run
from textrnn.cli.commands.analysis.comparison_page import format_comparison, format_verdict
from textrnn.evaluation.comparison import Comparison, Difference, RunFigures

DIFFERENCE = Difference("B", "A", 0.014, 20, 6, 0.003, 0.003, 0.021, (0.01, 0.03), 0.0124, 0.0124, None)
RUNS = (RunFigures("A", 0.8, 0.7, None, None, None), RunFigures("B", 0.814, 0.721, 0.5, 0.0123, 4_200_000))
COMPARISON = Comparison(500, "A", 42, RUNS, (DIFFERENCE,))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "B is better than A: +1.4 points of accuracy, p = 0.003"),
        ({"accuracy": -0.014, "accuracy_p": 1e-9}, "A is better than B: +1.4 points of accuracy, p < 0.001"),
        (
            {"accuracy_p": 0.2, "macro_f1_p": 0.3, "texts_needed": 2830},
            "B and A: no difference in accuracy that 500 texts can show; about 2,900 would be needed",
        ),
        (
            {"accuracy_p": 1.0, "accuracy": 0.0},
            "B and A: no difference in accuracy that 500 texts can show, but B has +2.1 points of macro F1, p = 0.012",
        ),
    ],
)
def test_verdicts(changes: dict[str, float], verdict: str) -> None:
    assert format_verdict(COMPARISON, replace(DIFFERENCE, **changes)) == verdict


def test_the_page_has_a_column_for_each_metric() -> None:
    lines = format_comparison(COMPARISON).splitlines()
    assert lines[2].split("  ")[-1] == "size"
    assert lines[4].split() == ["B", "81.40", "%", "72.10", "%", "0.5000", "1.23", "points", "4.2", "MB"]
    assert lines[6] == "minus A:"
    assert lines[8].split() == ["B", "+1.40", "20", ":", "6", "0.003", "+2.10", "+1.00", "to", "+3.00", "0.012"]


def test_long_names_give_way_to_numbers() -> None:
    names = {"A": "runs/with-a-long-name-of-the-first-run", "B": "runs/with-a-long-name-of-the-second-run"}
    difference = replace(DIFFERENCE, run=names["B"], against=names["A"])
    runs = tuple(replace(run, name=names[run.name]) for run in RUNS)
    page = format_comparison(replace(COMPARISON, against=names["A"], runs=runs, differences=(difference,)))
    assert f"run 1  {names['A']}\nrun 2  {names['B']}\n" in page
    assert "minus run 1:\n" in page
    assert "\nrun 2 is better than run 1: +1.4 points of accuracy, p = 0.003\n" in page
    assert max(map(len, page.splitlines())) <= 80


def test_no_difference_says_how_many_texts_are_needed(folder: Path, invoke: Run) -> None:
    lines = (folder / "good.txt").read_text("utf-8").splitlines()
    (folder / "near.txt").write_text("\n".join(["coffee", *lines[1:]]) + "\n", encoding="utf-8")
    verdict = invoke("compare", "good.txt", "near.txt", "rows.tsv", cwd=folder).stdout.decode().splitlines()[-1]
    start = "near.txt and good.txt: no difference in accuracy that 40 texts can show; about "
    assert verdict == f"{start}320 would be needed"
    same = invoke("compare", "good.txt", "-", "rows.tsv", stdin=(folder / "good.txt").read_bytes(), cwd=folder)
    assert same.stdout.decode().splitlines()[-1].endswith("no difference in accuracy that 40 texts can show")
