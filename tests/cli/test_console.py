"""Data is written whole, whatever signal comes."""

from __future__ import annotations

import sys

import pytest

from textrnn.cli.console import write_data


def test_a_stream_that_takes_a_part_gets_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        """Takes three bytes at a time, as an unbuffered stream may."""

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
