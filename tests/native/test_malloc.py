"""Freed memory stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

# blocks as a layer asks for, several at a time so that the top of the heap is freed again and again
FAULTS = """
import ctypes, resource, sys
from textrnn.native.malloc import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def batch():
    blocks = [libc.malloc(size << 20) for size in (6, 20, 48)]
    for block, size in zip(blocks, (6, 20, 48)):
        ctypes.memset(block, 1, size << 20)
    for block in blocks:
        libc.free(block)
batch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    batch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_large_blocks_are_not_filled_anew() -> None:
    counts = {
        how: int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, check=True).stdout)
        for how in ("keep", "leave")
    }
    assert counts["keep"] < counts["leave"] / 10


KEEPING = """
import ctypes
from textrnn.native.malloc import give_back_freed_memory
from textrnn.native.malloc import keep_freed_memory
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
