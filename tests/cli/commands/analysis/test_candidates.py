"""The predictions that ``textrnn compare`` compares, and labels that some do not know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from command import Run


def test_labels_that_no_model_knows_are_counted_wrong_as_evaluate_does(folder: Path, invoke: Run) -> None:
    (folder / "more.tsv").write_text("tea\tgreen tea\nwater\tcold water\n", encoding="utf-8")
    shutil.copytree(folder / "small", folder / "copy")
    done = invoke("compare", "--json", "small", "copy", "more.tsv", cwd=folder)
    evaluated = json.loads(invoke("evaluate", "--json", "-m", "small", "more.tsv", cwd=folder).stdout)
    assert done.returncode == 0
    assert [run["accuracy"] for run in json.loads(done.stdout)["runs"]] == [evaluated["accuracy"]] * 2
    assert done.stderr.count(b"1 text has labels that the model does not know ('water'); counted wrong") == 2


def test_labels_that_only_another_run_knows_are_reported(folder: Path, invoke: Run) -> None:
    (folder / "more.tsv").write_text("tea\tgreen tea\nwater\tcold water\n", encoding="utf-8")
    (folder / "more.txt").write_text("tea\nwater\n", encoding="utf-8")
    done = invoke("compare", "--json", "small", "more.txt", "more.tsv", cwd=folder)
    message = "textrnn: small: 1 text has labels that the model does not know ('water'); counted wrong\n"
    assert done.stderr.decode() == message
    assert [run["accuracy"] for run in json.loads(done.stdout)["runs"]] == [0.5, 1]
