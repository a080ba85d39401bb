"""Reuse of freed memory by glibc."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGE = (1 << 30, 32 << 20)  # older versions of glibc take no more than the second


def keep_freed_memory() -> None:
    """Make glibc reuse large freed blocks, in the whole process.

    By default it returns blocks of megabytes to the system, and a batch waits for zeroed ones: up to half of the time
    of a small layer. Programs call it, libraries do not. It does nothing with another C library.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl lacks it
    for parameter in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
        for size in _LARGE:
            if mallopt is None or mallopt(parameter, size):
                break


def give_back_freed_memory() -> None:
    """Make glibc return freed memory to the system; do nothing with another C library.

    After :func:`keep_freed_memory` a process would hold the memory of reading and encoding until it ends.
    """
    if sys.platform.startswith("linux") and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
