"""Giving memory back to the system after much text was read."""

from __future__ import annotations

import ctypes
import sys


def give_back_freed_memory() -> None:
    """Have glibc hand back what the process has freed; does nothing where the C library is another one.

    A process that keeps freed blocks for the next ones would keep those of reading and encoding to its end.
    """
    if sys.platform.startswith("linux") and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
