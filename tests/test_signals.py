"""What signals do to a block that must not be cut."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from textrnn.signals import FilterSignals


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


def test_a_second_one_does_not_wait() -> None:
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


def test_a_second_one_does_not_break_into_what_follows() -> None:
    with FilterSignals([signal.SIGINT]) as stops:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert stops.received == signal.SIGINT


def test_a_third_one_ends_the_process_without_a_word() -> None:
    code = (
        "import signal, contextlib; from textrnn.signals import FilterSignals\n"
        "with FilterSignals([signal.SIGINT]):\n"
        "    for _ in range(3):\n"
        "        with contextlib.suppress(KeyboardInterrupt): signal.raise_signal(signal.SIGINT)\n"
        "    print('went on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_without_a_signal_all_is_as_before() -> None:
    with FilterSignals([signal.SIGINT, signal.SIGTERM]) as stops, stops.hold():
        pass
    assert stops.received is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_where_it_is_ignored_it_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with FilterSignals([signal.SIGINT]) as stops:
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert stops.received is None
