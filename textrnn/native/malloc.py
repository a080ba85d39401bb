"""What becomes of memory that a program has freed."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGE = (1 << 30, 32 << 20)  # older versions of glibc take no more than the second


def keep_freed_memory() -> None:
    """Have glibc keep large blocks that are freed for the next ones, for the whole process.

    Otherwise it hands blocks of megabytes back to the system, and a batch spends its time on having them filled with
    zeros again: up to half of the time of a small layer. For programs to call, not for libraries; does nothing where
    the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    for parameter in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
        for size in _LARGE:
            if mallopt is None or mallopt(parameter, size):
                break


def give_back_freed_memory() -> None:
    """Have glibc hand back what the process has freed; does nothing where the C library is another one.

    A process that keeps freed blocks for the next ones would keep those of reading and encoding to its end.
    """
    if sys.platform.startswith("linux") and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
