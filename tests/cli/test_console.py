"""Data is written whole, whatever signal comes."""

from __future__ import annotations

import signal
import sys

import pytest

from textrnn.cli.console import hold_interrupts, write_data


def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    steps = []

    def write() -> None:
        with hold_interrupts():
            signal.raise_signal(signal.SIGINT)
            steps.append("written")
        steps.append("went on")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert steps == ["written"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_does_not_wait() -> None:
    steps = []

    def write() -> None:
        with hold_interrupts():
            signal.raise_signal(signal.SIGINT)
            steps.append("first")
            signal.raise_signal(signal.SIGINT)
            steps.append("second")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert steps == ["first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_it_is_ignored_it_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with hold_interrupts():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


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
