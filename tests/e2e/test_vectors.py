"""Pretrained word vectors: one flag, new pieces, and two processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from command import SMALL, Run, start_command
from samples import write_rows
from textrnn.serialization.model_file import load_model

WORDS = "tea 1 2.5 -1\ncoffee 0 4 1\nlemon -2 1 1\nmilk 3 0.5 2\n"
WORD_PIECES = ("--set", "tokenizer.model_type=word")
TRAIN = ("train", "--train", "rows.tsv", "--vectors", "words.txt", "--out", "run", *SMALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.tsv")
    (tmp_path / "words.txt").write_text(WORDS, encoding="utf-8")
    return tmp_path


def test_the_flag_is_enough(folder: Path, invoke: Run) -> None:
    done = invoke(*TRAIN, *WORD_PIECES, "--dry-run", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert "  vectors: words.txt\n" in done.stdout.decode()
    done = invoke(*TRAIN, *WORD_PIECES, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert "4 words of 3 " in done.stderr.decode()
    (folder / "words.txt").unlink()
    done = invoke("predict", "--format", "label", cwd=folder, stdin=b"green tea with lemon\nblack coffee\n")
    assert done.stdout == b"tea\ncoffee\n"


def test_two_processes_freeze_the_same(folder: Path) -> None:
    arguments = (*TRAIN, *WORD_PIECES, "--set", "embedding.freeze=true")
    process = start_command(*arguments, cwd=folder, processes=2)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr.decode()
    saved = load_model(folder / "run")
    places = {word: piece for piece, word in saved.tokenizer.list_words().items()}
    found = saved.weights["embedding.weight"][[places[line.split()[0]] for line in WORDS.splitlines()], :3]
    drawn = np.array([line.split()[1:] for line in WORDS.splitlines()], np.float64)
    np.testing.assert_allclose(found, (drawn - drawn.mean(0)) / drawn.std(0), rtol=1e-6)
