"""What reading has freed does not stay with the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KEEPING = """
import ctypes
from textrnn.corpus.memory import give_back_freed_memory
from textrnn.ops.memory import keep_freed_memory
def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
keep_freed_memory()
blocks = [bytearray(b"x" * 100_000) for _ in range(2000)]
last = bytearray(b"x" * 100_000)
full = resident()
del blocks
give_back_freed_memory()
print(full - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do it by themselves")
def test_freed_memory_is_given_back() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the system does not tell what is resident")
    done = subprocess.run([sys.executable, "-c", KEEPING], capture_output=True, check=True)
    assert int(done.stdout) > 150_000  # of 195,000 KiB
