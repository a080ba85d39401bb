"""Fixtures that several tests use: a small tokenizer, the installed command, a model, and real text."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from command import MULTI_LABEL, SMALL, Run, run_command
from samples import SENTENCES, write_rows, write_sets
from textrnn.__main__ import main
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # what the tests say is said of the CPU
torch.set_num_threads(1)  # the tests run in several processes


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands in for the user's cache, also in the commands that are run; nothing is kept at home."""
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
    """The folder of real text that TEXTRNN_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("TEXTRNN_TEST_DATA")
    if not folder:
        pytest.skip("TEXTRNN_TEST_DATA names no folder of real text")
    return Path(folder)


@pytest.fixture
def textrnn(tmp_path: Path) -> Run:
    """Run the command in an empty folder: ``textrnn("predict", stdin=b"...")``."""

    def run(
        *arguments: object, stdin: bytes = b"", cwd: Path = tmp_path, timeout: float = 300
    ) -> subprocess.CompletedProcess[bytes]:
        return run_command(*arguments, cwd=cwd, stdin=stdin, timeout=timeout)

    return run


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Iterator[Run]:
    """Run the command as ``textrnn`` does, but in this process, which saves the time to start one."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGPIPE") if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}

    def run(*arguments: object, stdin: bytes = b"", cwd: Path = tmp_path) -> subprocess.CompletedProcess[bytes]:
        capfdbinary.readouterr()
        with tempfile.TemporaryFile() as source, monkeypatch.context() as patch:
            source.write(stdin)
            source.seek(0)
            patch.setattr(sys, "stdin", io.TextIOWrapper(source))
            patch.setenv("OMP_NUM_THREADS", "1")
            patch.setattr(sys, "argv", ["textrnn", *map(str, arguments)])
            patch.chdir(cwd)
            with pytest.raises(SystemExit) as end:
                main()
        output = capfdbinary.readouterr()
        return subprocess.CompletedProcess(sys.argv, end.value.code, output.out, output.err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.tsv and a model trained on it, in runs/small."""
    folder = tmp_path_factory.mktemp("trained")
    write_rows(folder / "rows.tsv")
    done = run_command("train", "--train", "rows.tsv", "--out", "runs/small", *SMALL, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.fixture(scope="session")
def trained_multi_label(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.tsv, test.tsv, a multi-label model in runs/small, and the messages of its training."""
    folder = tmp_path_factory.mktemp("multi-label")
    write_sets(folder / "rows.tsv", 300)
    write_sets(folder / "test.tsv", 60, seed=2)
    arguments = ("--train", "rows.tsv", "--out", "runs/small", "--set", "data.test=test.tsv", *SMALL, *MULTI_LABEL)
    done = run_command("train", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    (folder / "messages.txt").write_bytes(done.stderr)
    return folder
