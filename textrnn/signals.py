"""Handlers of Ctrl-C and SIGTERM that let running work end cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

_Self = TypeVar("_Self", bound="_Signals")


class _Signals:
    """Signal handlers for the duration of a ``with`` block; ``received`` is the first signal that arrived.

    Signals that the process ignores (under nohup, or a shell's ``&``) stay ignored. Python allows handlers only in the
    main thread; in other threads nothing changes.
    """

    def __init__(self, numbers: Iterable[int] = (signal.SIGINT, signal.SIGTERM)) -> None:
        self.received: signal.Signals | None = None
        self._numbers, self._before = tuple(numbers), dict[int, Any]()

    def __enter__(self: _Self) -> _Self:
        if threading.current_thread() is threading.main_thread():
            handled = [number for number in self._numbers if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._handle) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        raise NotImplementedError


class DeferredSignals(_Signals):
    """Handlers for training: the first signal is only recorded, the second acts as it did before the block."""

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()


class FilterSignals(_Signals):
    """Handlers for filters: the first signal raises KeyboardInterrupt; within :meth:`hold` it waits for the end.

    A second signal ends a held block, and otherwise does nothing, since the process is already ending. A third kills
    the process at once.
    """

    _count, _held = 0, False

    def __exit__(self, *_: object) -> None:
        if self.received is None:  # otherwise the process is ending, and further signals must not interrupt that
            self._restore()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Delay the first signal until the block ends, so that its output is complete."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self.received is not None:  # a write to a broken pipe also fails
                raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count == 3:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        first, self.received = self.received is None, self.received or signal.Signals(number)
        if first != self._held:
            raise KeyboardInterrupt
