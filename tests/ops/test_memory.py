"""Freed memory stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# blocks as a layer asks for, several at a time so that the top of the heap is freed again and again
FAULTS = """
import ctypes, resource, sys
from textrnn.ops.memory import keep_freed_memory
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
