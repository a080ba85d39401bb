"""The installed command, and a small model that it trained."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from command import SMALL, Run, run_command
from samples import write_rows


@pytest.fixture
def textrnn(tmp_path: Path) -> Run:
    """Run the command in an empty folder: ``textrnn("predict", stdin=b"...")``."""

    def run(*arguments: object, stdin: bytes = b"", cwd: Path = tmp_path) -> subprocess.CompletedProcess[bytes]:
        return run_command(*arguments, cwd=cwd, stdin=stdin)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.tsv and a model trained on it, in runs/small."""
    folder = tmp_path_factory.mktemp("trained")
    write_rows(folder / "rows.tsv")
    done = run_command("train", "--train", "rows.tsv", "--out", "runs/small", *SMALL, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return folder
