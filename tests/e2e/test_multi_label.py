"""Multi-label models from the command line: train, evaluate, predict, and train on the predictions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import SMALL, Run
from textrnn.serialization.model_file import load_model


@pytest.fixture
def folder(trained_multi_label: Path) -> Path:
    return trained_multi_label


def test_training_reports_labels_and_micro_f1(folder: Path) -> None:
    messages = (folder / "messages.txt").read_text()
    assert "4 labels (delivery " in messages
    assert "micro F1" in messages.split("epoch 1/8")[1].splitlines()[0]
    assert "textrnn: test: micro F1 " in messages


def test_evaluate_and_training_print_the_same_scores(folder: Path, invoke: Run) -> None:
    done = invoke("evaluate", "test.tsv", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    shown = done.stdout.decode()
    assert "confusion" not in shown
    assert f"test: micro F1 {shown.split('micro F1')[1].split()[0]} %" in (folder / "messages.txt").read_text()
    found = json.loads(invoke("evaluate", "test.tsv", "--json", cwd=folder).stdout)
    assert found["micro_f1"] > 0.9
    assert len(found["classes"]) == 4
    assert {"label", "precision", "recall", "f1", "support", "threshold"} == found["classes"][0].keys()
    temperature = load_model(folder / "runs/small").temperature
    assert found["temperature"] == temperature != 1.0
    assert f"{100 * found['calibration_error_uncalibrated']:.2f} uncalibrated, temperature {temperature:.3f}" in shown
    nothing = json.loads(invoke("evaluate", "test.tsv", "--threshold", "1", "--json", cwd=folder).stdout)
    assert nothing["micro_f1"] == 0


def test_predictions_are_a_training_set(folder: Path, invoke: Run, tmp_path: Path) -> None:
    lines = [line.split("\t")[1] for line in (folder / "test.tsv").read_text().splitlines()]
    text = "".join(f"{line}\n" for line in lines).encode()
    tsv = invoke("predict", "--format", "label", "--with-text", cwd=folder, stdin=text).stdout
    rows = [line.split("\t") for line in tsv.decode().splitlines()]
    assert [row[1] for row in rows] == lines
    assert {len(row) for row in rows} == {2}
    assert "" in {row[0] for row in rows}
    (tmp_path / "rows.tsv").write_bytes(tsv)
    again = json.loads(invoke("evaluate", "-m", folder / "runs/small", "rows.tsv", "--json").stdout)
    assert again["accuracy"] == 1.0
    (tmp_path / "rows.jsonl").write_bytes(
        invoke("predict", "--format", "jsonl", "--with-text", cwd=folder, stdin=text).stdout
    )
    done = invoke("train", "--train", "rows.jsonl", "--set", "data.multi_label=true", *SMALL, "--dry-run")
    assert done.returncode == 0, done.stderr.decode()
    assert b"; nothing was trained" in done.stderr
    assert b"metric: micro_f1" in done.stdout


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("evaluate a.tsv", 1, "a.tsv:2: "),
        ("predict --threshold 2", 2, "--threshold"),
        ("predict --min-prob 0.5", 2, "--min-prob 0.5: the model is multi-label; use --threshold instead"),
    ],
)
def test_faults(command: str, status: int, message: str, folder: Path, invoke: Run) -> None:
    (folder / "a.tsv").write_text("refund\tx\nrefund||praise\ty\n")
    done = invoke(*command.split(), cwd=folder)
    assert done.returncode == status
    assert done.stderr.count(b"\n") == 1
    assert message in done.stderr.decode()
