"""``textrnn tune``: output, and resumption by the same command."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from command import Run, start_command
from samples import write_rows

pytest.importorskip("optuna", reason="the extra tune is not installed")

SPACE = "train.lr: {low: 1e-3, high: 0.1, log: true}\nmodel.layers: {low: 1, high: 2}\n"
CONFIG = """
data: {train: rows.tsv}
tokenizer: {vocab_size: 80}
model: {hidden: 4, embedding: 8}
train: {epochs: 3, batch_size: 4}
"""


def test_the_same_command_resumes_a_stopped_search(tmp_path: Path, invoke: Run) -> None:
    write_rows(tmp_path / "rows.tsv", 400)
    (tmp_path / "base.yaml").write_text(CONFIG)
    (tmp_path / "space.yaml").write_text(SPACE)
    words = ("tune", "base.yaml", "--space", "space.yaml", "--trials", "3", "--out", "out dir")
    process = start_command(*words, cwd=tmp_path)
    assert process.stderr
    while b"trial 1 of 3" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    messages = process.stderr.read().decode().splitlines()
    assert process.wait(60) == 128 + signal.SIGINT
    assert messages[-1].endswith(": textrnn tune base.yaml --space space.yaml --trials 3 --out 'out dir'")
    done = invoke(*words)
    assert (done.returncode, done.stdout) == (0, b"out dir/best.yaml\n"), done.stderr.decode()
    assert b"trial 1 of 3" not in done.stderr
    assert b"best of 3 trials (" in done.stderr
    best = (tmp_path / "out dir" / "best.yaml").read_text().splitlines()
    assert best[0] == "# textrnn train 'out dir/best.yaml'"
    again = invoke("train", "out dir/best.yaml", "--out", "again")
    assert again.returncode == 0, again.stderr.decode()
    (winner,) = (tmp_path / "out dir" / "trials").iterdir()
    assert (winner / "model.safetensors").read_bytes() == (tmp_path / "again/model.safetensors").read_bytes()


def test_faults_are_one_line_each(tmp_path: Path, invoke: Run) -> None:
    (tmp_path / "space.yaml").write_text("train.lr: {low: 1}\nmodel.hiden: {choices: [1]}\n")
    done = invoke("tune", "--space", "space.yaml")
    assert (done.returncode, done.stdout) == (2, b"")
    assert [line.rsplit(": ", 1)[0] for line in done.stderr.decode().splitlines()] == [
        "textrnn: space.yaml:1: train.lr",
        "textrnn: space.yaml:2: model.hiden",
    ]
