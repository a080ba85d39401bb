"""``textrnn compare``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import Run


def test_a_model_and_files_side_by_side(folder: Path, invoke: Run) -> None:
    done = invoke("compare", "bad.txt", "good.txt", "small", "rows.tsv", cwd=folder)
    lines = done.stdout.decode().splitlines()
    assert (done.returncode, done.stderr, lines[0]) == (0, b"", "40 texts")
    rows = {line.split()[0]: line for line in lines if line}
    assert "75.00 %" in next(line for line in lines if line.startswith("bad.txt"))
    assert "both corrected for 2 comparisons by Holm's method; intervals are not" in lines
    assert lines[-2] == "good.txt is better than bad.txt: +25.0 points of accuracy, p = 0.004"
    assert "kB" in next(line for line in lines if line.startswith("small"))
    assert "minus" in rows


def test_json(folder: Path, invoke: Run) -> None:
    done = invoke("compare", "--json", "--against", "best", "small", "bad.txt", "good.txt", "rows.tsv", cwd=folder)
    found = json.loads(done.stdout)
    assert found["texts"] == 40
    runs = {run["name"]: run for run in found["runs"]}
    assert runs["small"]["size"] == (folder / "small" / "model.safetensors").stat().st_size
    assert runs["small"]["loss"] > 0
    assert (runs["bad.txt"]["loss"], runs["bad.txt"]["calibration_error"]) == (None, 0)  # 0.75, and 3 of 4 are right
    assert runs["good.txt"]["calibration_error"] is None
    assert found["against"] != "bad.txt"
    assert len(found["verdicts"]) == len(found["differences"]) == 2


def test_evaluate_gives_the_same_metrics(folder: Path, invoke: Run) -> None:
    compared = json.loads(invoke("compare", "--json", "small", "good.txt", "rows.tsv", cwd=folder).stdout)["runs"][0]
    evaluated = json.loads(invoke("evaluate", "--json", "-m", "small", "rows.tsv", cwd=folder).stdout)
    for name in ("accuracy", "macro_f1", "loss", "calibration_error"):
        assert compared[name] == pytest.approx(evaluated[name])


def test_multi_label_models_are_compared_by_whole_sets(trained_multi_label: Path, invoke: Run) -> None:
    folder = trained_multi_label
    lines = [line.split("\t")[0] for line in (folder / "test.tsv").read_text("utf-8").splitlines()]
    (folder / "sets.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = json.loads(invoke("compare", "--json", "runs/small", "sets.txt", "test.tsv", cwd=folder).stdout)
    evaluated = json.loads(invoke("evaluate", "--json", "-m", "runs/small", "test.tsv", cwd=folder).stdout)
    for name in ("accuracy", "macro_f1", "loss", "calibration_error"):
        assert found["runs"][0][name] == pytest.approx(evaluated[name])
    assert found["runs"][1]["accuracy"] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("small rows.tsv", 2, "compare: needs two runs or more"),
        ("small small rows.tsv", 2, "small: given twice; keep one"),
        ("small good.txt rows.tsv --set model.hidden=3", 2, "--set model.hidden=3: compare takes data.format"),
        ("small good.txt rows.tsv --differences d.xml", 2, "--differences d.xml: unknown extension; use .tsv"),
        ("small good.txt rows.tsv --differences - --json", 2, "--differences -: stdout has the JSON of --json"),
        ("small good.txt rows.tsv --differences good.txt", 2, "--differences good.txt: is an input file"),
        ("small none.txt rows.tsv", 1, "none.txt: no such file"),
        ("small short.txt rows.tsv", 1, "short.txt:2: is missing: rows.tsv has 40 texts"),
        ("small typo.txt rows.tsv", 1, "typo.txt:40: label 'Tea' is neither in rows.tsv nor known to a model"),
        ("good.txt typo.txt rows.tsv", 1, "typo.txt:40: label 'Tea' is not in rows.tsv; use the labels of the data"),
        ("small hides.txt rows.tsv", 1, "hides.txt:1: label 'unknown' is neither in rows.tsv nor known to a model; a "),
    ],
)
def test_faults(arguments: str, status: int, message: str, folder: Path, invoke: Run) -> None:
    (folder / "short.txt").write_text("tea\n", encoding="utf-8")
    (folder / "typo.txt").write_text("tea\n" * 39 + "Tea\n", encoding="utf-8")
    (folder / "hides.txt").write_text("unknown\n" * 40, encoding="utf-8")
    done = invoke("compare", *arguments.split(), cwd=folder)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (status, b"", 1)
    assert done.stderr.decode().startswith(f"textrnn: {message}")


def test_models_of_one_kind_only(folder: Path, trained_multi_label: Path, invoke: Run) -> None:
    done = invoke("compare", "small", trained_multi_label / "runs" / "small", "rows.tsv", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.decode().endswith("is multi-label, small is not; compare models of the same kind\n")
