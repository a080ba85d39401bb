"""The C++ under the sanitizers: tests/sanitize/run, which builds it in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "sanitize" / "run"
NOT_THERE = 77  # what the script ends with where the compiler has no such sanitizer


@pytest.mark.skipif(sys.platform != "linux", reason="the script is for Linux")
@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no g++ here")
@pytest.mark.parametrize(
    "run",  # guard finds most of what address does
    [
        pytest.param("address", marks=pytest.mark.long),
        "thread",
        "guard",
        pytest.param("native", marks=pytest.mark.long),
    ],
)
def test_nothing_is_found(run: str) -> None:
    done = subprocess.run(["bash", SCRIPT, run], capture_output=True, check=False, text=True, timeout=600)
    if done.returncode == NOT_THERE:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{run}: nothing found in " in done.stdout
