"""Signals: filters end after the current record, training ends after the current step."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from textrnn.signals import DeferredSignals, FilterSignals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_waits_for_the_end_of_a_held_block() -> None:
    steps = []

    def write(stops: FilterSignals) -> None:
        with stops.hold():
            signal.raise_signal(signal.SIGTERM)
            steps.append("written")
        steps.append("went on")

    with FilterSignals([signal.SIGINT, signal.SIGTERM]) as stops, pytest.raises(KeyboardInterrupt):
        write(stops)
    assert steps == ["written"]
    assert stops.received == signal.SIGTERM


def test_a_second_signal_does_not_wait() -> None:
    steps = []

    def write(stops: FilterSignals) -> None:
        with stops.hold():
            signal.raise_signal(signal.SIGINT)
            steps.append("first")
            signal.raise_signal(signal.SIGINT)
            steps.append("second")

    with FilterSignals([signal.SIGINT]) as stops, pytest.raises(KeyboardInterrupt):
        write(stops)
    assert steps == ["first"]


def test_a_second_signal_does_not_interrupt_the_end() -> None:
    with FilterSignals([signal.SIGINT]) as stops:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert stops.received == signal.SIGINT


def test_a_third_signal_kills_the_process_silently() -> None:
    code = (
        "import signal, contextlib; from textrnn.signals import DeferredSignals, FilterSignals\n"
        "with FilterSignals([signal.SIGINT]):\n"
        "    for _ in range(3):\n"
        "        with contextlib.suppress(KeyboardInterrupt): signal.raise_signal(signal.SIGINT)\n"
        "    print('went on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_handlers_are_restored() -> None:
    with FilterSignals([signal.SIGINT, signal.SIGTERM]) as stops, stops.hold():
        pass
    assert stops.received is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("kind", [FilterSignals, DeferredSignals])
def test_an_ignored_signal_stays_ignored(kind: type[FilterSignals | DeferredSignals]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with kind([signal.SIGINT]) as stops:
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert stops.received is None


def test_training_records_sigterm_while_sigint_is_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with DeferredSignals() as signals:
        signal.raise_signal(signal.SIGTERM)
    assert signals.received == signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_records_the_first_signal_and_the_second_acts(number: signal.Signals) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    before = signal.getsignal(number)
    with DeferredSignals() as signals:
        assert signals.received is None
        signal.raise_signal(number)
        assert signals.received == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_other_threads_set_no_handlers() -> None:
    received: list[object] = []

    def run() -> None:
        with DeferredSignals() as signals:
            received.append(signals.received)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert received == [None]
