"""``train --kfold`` and ``train --seeds``: output, resumption, and contradicting flags."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import Run, small
from samples import write_rows
from textrnn.experiments.variations import LearningCurve


def test_folds_print_means_and_the_best_and_resume(tmp_path: Path, invoke: Run) -> None:
    write_rows(tmp_path / "rows.tsv")
    words = ("train", "--train", "rows.tsv", *small(epochs=1), "--kfold", "2", "--set", "data.test=rows.tsv")
    done = invoke(*words)
    assert done.returncode == 0, done.stderr.decode()
    out = "runs/rows-sru-2-folds"
    summary = json.loads((tmp_path / out / "summary.json").read_text())
    assert done.stdout.decode() == f"{out}/{summary['best']}\n"
    lines = done.stderr.decode().splitlines()
    assert [line for line in lines if "1/2" in line and "20 of 40 texts" in line]
    mean, deviation = (100 * summary["valid"]["accuracy"][name] for name in ("mean", "deviation"))
    assert lines[-3].startswith(
        f"textrnn: mean ± deviation of 2 folds on valid: accuracy {mean:.2f} ± {deviation:.2f} %, macro F1 "
    )
    assert lines[-2].startswith("textrnn: mean ± deviation of 2 folds on test: accuracy ")
    assert f"all figures are in {out}/summary.json" in lines[-1]
    assert (tmp_path / "runs/latest").read_bytes() == done.stdout
    again = invoke(*words, "--resume", out)
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr.decode()
    alone = invoke("train", "--resume", out)
    assert (alone.returncode, alone.stdout) == (0, done.stdout), alone.stderr.decode()


def test_a_learning_curve_prints_its_points_and_an_estimate(
    tmp_path: Path, invoke: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LearningCurve, "PARTS", (2, 1))
    write_rows(tmp_path / "rows.tsv")
    done = invoke("train", "--train", "rows.tsv", *small(epochs=1, report=True), "--learning-curve")
    assert done.returncode == 0, done.stderr.decode()
    out = "runs/rows-sru-learning-curve"
    summary = json.loads((tmp_path / out / "summary.json").read_text())
    assert done.stdout.decode() == f"{out}/{summary['best']}\n"
    lines = done.stderr.decode().splitlines()
    points = [line for line in lines if " training texts: accuracy " in line and line.endswith(" on valid")]
    assert [line.split()[1] for line in points] == ["18", "36"]
    assert lines[lines.index(points[-1]) + 1].startswith("textrnn: 72 training texts: accuracy ")
    assert "Twice the labels (72 texts)" in (tmp_path / out / "report.html").read_text(encoding="utf-8")
    done = invoke("report", "-m", out, "rows.tsv")
    assert f"textrnn: model: {out}/{summary['best']}, the best run of {out}\n" in done.stderr.decode()
    assert "Twice the labels (72 texts)" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--kfold", "3", "--seeds", "2"), "--kfold and --seeds: give only one of them"),
        (("--kfold", "3", "--valid", "rows.tsv"), "--kfold 3: "),
        (("--kfold", "3", "--learning-curve"), "--kfold and --learning-curve: give only one of them"),
        (("--learning-curve", "--set", "data.train_share=0.5"), "--learning-curve: sets data.train_share for each run"),
        (("--learning-curve", "--dry-run"), "--dry-run: has no estimate for --learning-curve"),
        (("--learning-curve", "--resume", "out", "--out", "other"), "--resume out: continues the runs in its own"),
        (("--kfold", "1"), "invalid value for '--kfold'"),
        (("--seeds", "0"), "invalid value for '--seeds'"),
        (("--kfold", "3", "--resume", "out", "--out", "other"), "--resume out: continues the runs in its own folder"),
        (("--kfold", "3", "--resume", "out", "--overwrite"), "--resume out: continues the runs in its own folder"),
        (("--kfold", "3", "--resume", "out", "--dry-run"), "--resume out: continues the runs in its own folder"),
        (("--kfold", "3", "--set", "data.valid_share=0.2"), "--set data.valid_share=0.2: data.valid_share: "),
    ],
)
def test_contradicting_flags(words: tuple[str, ...], message: str, tmp_path: Path, invoke: Run) -> None:
    write_rows(tmp_path / "rows.tsv")
    done = invoke("train", "--train", "rows.tsv", *words)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"textrnn: {message}")
    assert len(done.stderr.splitlines()) == 1
