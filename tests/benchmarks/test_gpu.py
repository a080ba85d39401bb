"""benchmarks/gpu.py without a GPU: the kernels run in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"
BROKEN = """
import sys
sys.path.insert(0, {folder!r})
import gpu
run = gpu.run
def run_wrongly(inputs, upstream, *, backend):
    results = run(inputs, upstream, backend=backend)
    if backend == "cuda":
        results["dv"][0, 0, 0] += 1e-3 * results["dv"].abs().max()
    return results
gpu.run = run_wrongly
gpu.main()
"""


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment)


def test_checks_parity_and_measures_no_speed() -> None:
    done = run_python(str(SCRIPT))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    verdicts = [line for line in lines if line.endswith("| pass |")]
    assert {line.split(" | ")[0] for line in verdicts} == {"| float32", "| float16", "| bfloat16"}
    assert f"parity: {len(verdicts)} of {len(verdicts)} cases pass" in lines
    assert "FAIL" not in done.stdout
    assert done.stdout.count("interpreter: no speed is measured") == 3  # at the top and at both tables
    assert sum(line.startswith("| 4 | 2 | 8 |") for line in lines) == 4  # two dtypes each


def test_says_what_is_wrong() -> None:
    done = run_python("-c", BROKEN.format(folder=str(SCRIPT.parent)), "--only", "parity")
    assert done.returncode == 1, done.stderr
    assert "| FAIL |" in done.stdout
    assert "parity: 0 of " in done.stdout
