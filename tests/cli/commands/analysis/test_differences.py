"""The table of differences of ``textrnn compare``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from command import Run


@pytest.mark.parametrize("name", ["d.tsv", "d.csv", "d.jsonl"])
def test_differences_have_a_row_for_each_text(name: str, folder: Path, invoke: Run) -> None:
    done = invoke("compare", "--differences", name, "good.txt", "bad.txt", "rows.tsv", cwd=folder)
    assert done.stderr.decode() == f"textrnn: {name}: 10 texts with different predictions\n"
    content = (folder / name).read_text("utf-8")
    label, text = (folder / "rows.tsv").read_text("utf-8").splitlines()[1].split("\t")
    if name.endswith("jsonl"):
        row = json.loads(content.splitlines()[1])
        assert (row["good.txt"], row["good.txt confidence"]) == (label, None)
        assert (row["bad.txt"], row["bad.txt confidence"]) == ("tea", 0.75)
        assert (row["file"], row["line"], row["label"], row["text"]) == ("rows.tsv", 2, label, text)
        return
    rows = list(csv.reader(content.splitlines(), delimiter="," if name.endswith("csv") else "\t"))
    confidences = ["good.txt", "good.txt confidence", "bad.txt", "bad.txt confidence"]
    assert rows[0] == ["file", "line", "label", *confidences, "text"]
    assert rows[2] == ["rows.tsv", "2", label, label, "", "tea", "0.750000", text]
    assert len(rows) == 11


def test_differences_to_stdout_leave_the_verdict_to_stderr(folder: Path, invoke: Run) -> None:
    done = invoke("compare", "--differences", "-", "bad.txt", "good.txt", "rows.tsv", cwd=folder)
    assert done.stdout.startswith(b"file\tline\tlabel\tbad.txt\t")
    assert done.stdout.count(b"\n") == 11
    assert done.stderr == b"textrnn: good.txt is better than bad.txt: +25.0 points of accuracy, p = 0.002\n"
