"""Signals: the first is noted, the second acts."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from textrnn.signals import DeferredSignals


def test_the_first_is_noted_and_the_second_acts() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with DeferredSignals() as interrupts:
        assert interrupts.received is None
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_sigterm_is_noted_too() -> None:
    with DeferredSignals() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.received == signal.SIGTERM


def test_other_threads_are_left_alone() -> None:
    seen: list[object] = []

    def run() -> None:
        with DeferredSignals() as interrupts:
            seen.append(interrupts.received)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [None]


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with DeferredSignals() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
            assert interrupts.received is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert interrupts.received == signal.SIGTERM
    finally:
        signal.signal(signal.SIGINT, before)
