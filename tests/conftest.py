"""Shared fixtures: a small tokenizer, the installed command, training data, a trained model, and real text."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import torch

from command import SMALL, Run, run_command
from samples import SENTENCES, write_rows
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the tests are about the CPU
torch.set_num_threads(1)  # pytest-xdist runs one process per core


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of all tests, and of the commands that they run, instead of the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder / "textrnn"


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A tokenizer with a few dozen pieces."""
    lines = [sentence.encode() for sentence in SENTENCES * 3]
    return train_tokenizer(lines, hard_vocab_limit=False, options={"num_threads": 1}).tokenizer


@pytest.fixture(scope="session")
def measuring_data() -> Path:
    """The folder of real text in TEXTRNN_TEST_DATA; tests skip without it."""
    folder = os.environ.get("TEXTRNN_TEST_DATA")
    if not folder:
        pytest.skip("TEXTRNN_TEST_DATA is not set")
    return Path(folder)


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """rows.tsv, with 40 texts, in the current folder, which is empty otherwise."""
    monkeypatch.chdir(tmp_path)
    return write_rows(Path("rows.tsv"))


@pytest.fixture
def textrnn(tmp_path: Path) -> Run:
    """Run the command in an empty folder: ``textrnn("predict", stdin=b"...")``."""

    def run(
        *arguments: object, stdin: bytes = b"", cwd: Path = tmp_path, timeout: float = 300
    ) -> subprocess.CompletedProcess[bytes]:
        return run_command(*arguments, cwd=cwd, stdin=stdin, timeout=timeout)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.tsv and a model trained on it, in runs/small."""
    folder = tmp_path_factory.mktemp("trained")
    write_rows(folder / "rows.tsv")
    done = run_command("train", "--train", "rows.tsv", "--out", "runs/small", *SMALL, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return folder
