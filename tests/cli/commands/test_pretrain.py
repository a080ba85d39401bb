"""``textrnn pretrain``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from command import Run
from teaching import embed, write_lines

SMALL = ("--vocab-size", 60, "--epochs", 1, "--batch-size", 8, "--set", "model.hidden=8", "--set", "model.embedding=16")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "e.npy", embed(write_lines(tmp_path / "raw.txt")))
    (tmp_path / "few.tsv").write_text("".join(f"tea\tgreen tea {n}\ncoffee\tcoffee {n}\n" for n in range(15)), "utf-8")
    return tmp_path


def test_a_starter_is_written_and_trained_from(folder: Path, invoke: Run) -> None:
    done = invoke("pretrain", "raw.txt", "--teacher-embeddings", "e.npy", *SMALL, cwd=folder)
    messages = done.stderr.decode()
    assert (done.returncode, done.stdout) == (0, b"starter.safetensors\n"), messages
    assert "textrnn: 59 lines of text, " in messages
    assert "epoch 1/1  loss" in messages
    assert "train with: textrnn train --init starter.safetensors --train FILE" in messages
    options = ("--init", "starter.safetensors", "--epochs", "1", "--set", "train.report=false", "--out", "run")
    done = invoke("train", "--train", "few.tsv", *options, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert b"initial starter" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("raw.txt", 2, "pretrain: give one of --teacher-embeddings FILE.npy and --teacher FOLDER"),
        ("raw.txt --teacher-embeddings e.npy --teacher x", 2, "pretrain: give one of"),
        ("raw.txt --teacher-embeddings e.npy --out .", 2, "--out .: is a folder"),
        ("raw.txt --teacher-embeddings e.npy --set ngrams.share=0", 2, "ngrams.share has no effect in pretraining"),
        (
            "raw.txt --teacher-embeddings e.npy --set train.precision=fp16",
            2,
            "train.precision fp16: pretraining has no",
        ),
        ("none.txt --teacher-embeddings e.npy", 1, "none.txt: no such file"),
        ("raw.txt --teacher-embeddings none.npy", 1, "none.npy: no such file"),
        ("few.tsv --teacher-embeddings e.npy", 1, "e.npy: has 60 rows, but few.tsv has 30 lines"),
        ("raw.txt --teacher none", 1, "none: no model of sentence-transformers"),
    ],
)
def test_faults(arguments: str, status: int, message: str, folder: Path, invoke: Run) -> None:
    done = invoke("pretrain", *arguments.split(), *SMALL, cwd=folder)
    assert done.returncode == status
    assert done.stderr.decode().startswith(f"textrnn: {message}") or f": {message}" in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "starter.safetensors").exists()
