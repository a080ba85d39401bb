"""Running the installed textrnn command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def small(
    *, epochs: int = 8, lr: float = 0.01, vocab_size: int = 80, dropout: float = 0.1, report: bool = False
) -> tuple[str, ...]:
    """Return the options of ``train`` for a tiny network; its evaluation page would take a second."""
    keys: dict[str, object] = {
        "model.embedding": 16,
        "model.dropout": dropout,
        "tokenizer.vocab_size": vocab_size,
        **({} if report else {"train.report": "false"}),
    }
    sets = (word for key, value in keys.items() for word in ("--set", f"{key}={value}"))
    return ("--hidden", "8", "--epochs", str(epochs), "--batch-size", "4", "--lr", str(lr), *sets)


SMALL = small()
MULTI_LABEL = ("--set", "data.multi_label=true", "--set", "data.label_separator=|")


def find_command() -> str:
    own = Path(sys.executable).parent / "textrnn"
    command = str(own) if own.exists() else shutil.which("textrnn")
    if not command:
        pytest.fail("the textrnn command is not installed: pip install -e '.[test]'")
    return command


def list_loaded(*arguments: str, cwd: Path, stdin: bytes) -> set[str]:
    """Run ``textrnn ARGUMENTS``, which must succeed, and return the modules that it loaded."""
    done = subprocess.run(
        [find_command(), *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
    )
    return {line.rsplit("|", 1)[1].strip() for line in done.stderr.decode().splitlines() if "|" in line}


def run_command(
    *arguments: object, cwd: Path, stdin: bytes = b"", timeout: float = 300
) -> subprocess.CompletedProcess[bytes]:
    """Run ``textrnn ARGUMENTS`` in ``cwd``."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [find_command(), *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
        env=environment,
    )


def start_command(*arguments: str, cwd: Path, processes: int = 1) -> subprocess.Popen[bytes]:
    """Start ``textrnn ARGUMENTS`` in ``cwd``, with pipes; torchrun starts several ``processes`` that train together."""
    command = [find_command(), *arguments]
    if processes > 1:
        torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts=2")
        command = [*torchrun, f"--nproc-per-node={processes}", "-m", "textrnn", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
