"""Ctrl-C and its like in a filter: what is being written is whole, and what is unfinished goes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class FilterSignals:
    """While this lasts, the first of the signals ``numbers`` raises KeyboardInterrupt, and ``received`` tells which.

    Within :meth:`hold` it waits for the end of the block, unless there comes a second one. Further ones are passed over
    while things are put in order, but for a third, which ends the process at once. Signals that the process ignores
    stay ignored.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self.received: signal.Signals | None = None
        self._numbers, self._count, self._held = tuple(numbers), 0, False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> FilterSignals:
        # those that nohup or a shell's & have the process ignore stay so
        heeded = [number for number in self._numbers if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.received is None:  # else the process is about to end, and further signals shall not break into that
            for number, handler in self._before.items():
                signal.signal(number, handler)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Have a first signal wait for the end of the block, so that what it writes is whole."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.received is not None:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._count += 1
        if self._count == 3:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        first, self.received = self.received is None, self.received or signal.Signals(number)
        if first != self._held:
            raise KeyboardInterrupt


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DeferredSignals:
    """While this context lasts, the first SIGINT or SIGTERM is only noted in ``received``.

    The second acts as it did before. A signal that the process ignores stays ignored. In
    other threads than the main one nothing changes.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> DeferredSignals:
        if threading.current_thread() is threading.main_thread():
            heeded = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]  # nohup, a shell's &
            self._before = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
