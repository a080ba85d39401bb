"""Shared fixtures: a small tokenizer, the installed command, training data, a model, real text, and a browser."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from command import MULTI_LABEL, SMALL, Run, run_command, small
from continued import write_drinks
from samples import SENTENCES, make_config, make_model, small_config, write_rows, write_sets
from textrnn.__main__ import main
from textrnn.serialization.model_file import save_model
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.training.train import train

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the tests are about the CPU
torch.set_num_threads(1)  # pytest-xdist runs one process per core


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run whole trainings too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="a whole training: pytest --long"))


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
    done = run_command("train", "--train", "rows.tsv", "--out", "runs/small", *small(report=True), cwd=folder)
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


@pytest.fixture(scope="session")
def old_run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with old.tsv and a model of tea, coffee and juice, in runs/old."""
    folder = tmp_path_factory.mktemp("old-run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = small_config(write_drinks("old.tsv", "tea", "coffee", "juice", rows=60), train__epochs=6)
        train(config, Path("runs/old"))
    return folder


@pytest.fixture
def old_run(old_run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run of ``old_run_folder`` in the current folder, a copy."""
    shutil.copytree(old_run_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path("runs/old")


@pytest.fixture(scope="session")
def scored(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of scores from 1 to 10 with random weights, in runs/small, and rows.tsv."""
    folder = tmp_path_factory.mktemp("scored")
    (folder / "runs" / "small").mkdir(parents=True)
    config = make_config(data__target="score", model__hidden=8)
    save_model(folder / "runs" / "small" / "model.safetensors", make_model(tokenizer, config, ("1", "4.5", "10")))
    (folder / "runs" / "latest").write_text("runs/small\n", encoding="utf-8")
    rows = [f"{n % 7}.5\t{sentence} {n}\n" for n, sentence in enumerate(SENTENCES * 7)]
    (folder / "rows.tsv").write_text("".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which checks accessibility."""
    script = os.environ.get("TEXTRNN_AXE")
    if not script:
        pytest.skip("TEXTRNN_AXE does not name axe.min.js of axe-core, which .ci/run installs")
    return Path(script).read_text(encoding="utf-8")
