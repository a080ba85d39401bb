"""What Triton and ptxas make of the kernels of a training step for GPUs from sm_75 to sm_120; none is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton.knobs", reason="Triton 3.4 or newer compiles without a GPU and shows what ptxas says")


def test_kernels_compile_without_spills() -> None:
    # a process of its own: in this one the kernels may have been defined for the interpreter
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, str(Path(__file__).with_name("compile_fused.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert {line[0] for line in lines} == {"75", "80", "90", "120"}
    assert len({line[1] for line in lines}) == 6
    assert [line for line in lines if line[-1] != "0"] == []
