"""Messages on stderr and data on stdout."""

from __future__ import annotations

import errno
import io
import sys

import pytest

from textrnn.cli.terminal import flush_stdout, write_data
from textrnn.errors import DataError


def test_a_partial_write_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        """Takes three bytes at a time, as an unbuffered stream can."""

        def __init__(self) -> None:
            self.taken = b""

        def write(self, data: memoryview) -> int:
            self.taken += bytes(data[:3])
            return min(3, len(data))

        def flush(self) -> None:
            pass

    slow = Slow()
    monkeypatch.setattr(sys, "stdout", type("Stdout", (), {"buffer": slow}))
    write_data("환불 부탁드립니다\n")
    write_data(b"\xff bytes\n")
    assert slow.taken == "환불 부탁드립니다\n".encode() + b"\xff bytes\n"


def test_a_full_disk_is_an_error_of_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    full = io.TextIOWrapper(Full())
    monkeypatch.setattr(sys, "stdout", full)
    with pytest.raises(DataError, match=r"^standard output: No space left on device$"):
        write_data(b"x")
    full.write("x")
    with pytest.raises(DataError, match=r"^standard output: No space left on device$"):
        flush_stdout()
