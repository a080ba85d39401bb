"""What Triton and ptxas make of the kernels for GPUs from sm_75 to sm_120; none is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton.knobs", reason="Triton 3.4 or newer compiles without a GPU and shows what ptxas says")

SCRIPT = Path(__file__).with_name("compile_kernels.py")


@pytest.mark.parametrize("kernel", ["forward", "backward"])
def test_kernels_compile_well(kernel: str) -> None:
    # a process of its own: in this one the kernels may have been defined for the interpreter
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, str(SCRIPT), "--few", "--jsonl", kernel]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert {report["cell"]["capability"] for report in reports} == {75, 80, 90, 100, 120}
    for report in reports:
        cell = report["cell"]
        assert report["spilled"] == 0, report
        assert report["narrow"] == [], report
        if cell["capability"] < 80:  # cannot copy to shared memory while it computes
            assert report["copies"] == 0, report
        elif cell["D"] % 4 == 0 or cell["dtype"] == "fp32":  # fewer than 4 bytes cannot be copied
            # every load of the loop is a copy, or the loop would wait for those that are none
            assert report["copies"] >= report["expected"], report
