"""Computing in parallel, in the order of the input, in little memory, and with an answer as soon as there is one.

One thread reads, ``jobs`` workers compute, and the calling thread takes the results in order. What has been read waits
until somebody is free, and only then is the next chunk cut from it: so a chunk is whatever there is, up to a bound. It
is one line where lines trickle in, and a large piece of text where input floods, whatever pieces it came in. Nothing
here looks at a clock.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")

Emit = Callable[[Sequence[Item]], None]
"""Takes items that were read; waits where enough of them wait already."""

_CHUNK_BYTES = 1 << 16  # of text, about a batch of the engine's: smaller ones cost more for each text
_ITEM_BYTES = 64  # that each item counts for beside its own
_PATIENCE = 0.5 if sys.platform == "win32" else None  # s: Windows tells of Ctrl-C between two waits only
_AHEAD = 2  # chunks for each worker that have been cut and not been written; and as many that have been read


def run_in_order(
    read: Callable[[Emit[Item]], None],
    compute: Callable[[list[Item], int], Result],
    *,
    size: Callable[[Item], int],
    jobs: int,
) -> Generator[Result, None, None]:
    """Yield ``compute(chunk, threads)`` for chunks of the items that ``read`` hands out, in their order.

    A chunk that comes alone, while nothing else is computed, is computed by the calling thread with ``jobs`` threads;
    others by one of ``jobs`` workers with one thread each. Closing the iterator ends everything but a ``read`` that
    waits for input.

    Args:
        read: called once, by a thread of its own, with the function that takes the items.
        compute: called by several threads at once.
        size: the bytes of an item; a chunk has 64 KiB at most, or one item.
        jobs: how many chunks are computed at once, at least 1.

    Raises:
        Exception: what ``read`` or ``compute`` raised, after the results of all that came before.
    """
    flow = _Flow(compute, size, jobs)
    threading.Thread(target=flow.read, args=(read,), name="reader", daemon=True).start()
    try:
        yield from flow.take_results()
    finally:
        flow.stop()


class _StoppedError(Exception):
    """Tells the reading thread that nobody wants more."""


class _Flow(Generic[Item, Result]):
    def __init__(self, compute: Callable[[list[Item], int], Result], size: Callable[[Item], int], jobs: int) -> None:
        self._compute, self._size, self._jobs = compute, size, jobs
        self._changed = threading.Condition()  # guards all that follows
        self._waiting: deque[Item] = deque()  # read, and in no chunk yet
        self._waiting_bytes = 0
        self._chunks: deque[Future[Result] | list[Item]] = deque()  # begun, in order; lists are the calling thread's
        self._computing = 0  # of them
        self._pool: ThreadPoolExecutor | None = None
        self._ended = self._stopped = False
        self._error: BaseException | None = None

    def read(self, read: Callable[[Emit[Item]], None]) -> None:
        """Run ``read``; what it raises comes behind the results of what it read."""
        error: BaseException | None = None
        try:
            read(self._add)
        except _StoppedError:
            pass
        except BaseException as raised:  # the calling thread raises it again
            error = raised
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def take_results(self) -> Generator[Result, None, None]:
        """Yield the results in order, computing what is the calling thread's."""
        while (chunk := self._wait_for_chunk()) is not None:
            result = self._run(chunk, self._jobs) if isinstance(chunk, list) else chunk.result()
            with self._changed:
                self._chunks.popleft()
                self._begin()
            yield result

    def stop(self) -> None:
        """End the workers after what they compute, and the reader when it has more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _add(self, items: Sequence[Item]) -> None:
        size = sum(map(self._measure, items))
        with self._changed:
            self._waiting.extend(items)
            self._waiting_bytes += size
            self._begin()
            self._changed.wait_for(lambda: self._stopped or self._waiting_bytes < _AHEAD * self._jobs * _CHUNK_BYTES)
            if self._stopped:
                raise _StoppedError

    def _begin(self) -> None:
        """Cut chunks from what waits while there are workers for them; called after every change, with the lock."""
        most = _AHEAD * self._jobs + 1
        while self._waiting and self._computing < self._jobs and len(self._chunks) < most and not self._stopped:
            chunk = self._cut()
            self._computing += 1
            if self._chunks or self._waiting:
                self._chunks.append(self._start_pool().submit(self._run, chunk, 1))
            else:
                self._chunks.append(chunk)
        self._changed.notify_all()

    def _cut(self) -> list[Item]:
        chunk = [self._waiting.popleft()]
        size = self._measure(chunk[0])
        while self._waiting and (more := self._measure(self._waiting[0])) + size <= _CHUNK_BYTES:
            chunk.append(self._waiting.popleft())
            size += more
        self._waiting_bytes -= size
        return chunk

    def _measure(self, item: Item) -> int:
        return self._size(item) + _ITEM_BYTES

    def _run(self, chunk: list[Item], threads: int) -> Result:
        try:
            return self._compute(chunk, threads)
        finally:
            with self._changed:
                self._computing -= 1
                self._begin()

    def _start_pool(self) -> ThreadPoolExecutor:
        if self._pool is None:
            # importing it takes as long as answering ten lines, and one line needs no pool
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

            self._pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="worker")
        return self._pool

    def _wait_for_chunk(self) -> Future[Result] | list[Item] | None:
        with self._changed:
            while not self._changed.wait_for(lambda: self._chunks or self._ended, _PATIENCE):
                pass
            if self._chunks:
                return self._chunks[0]
            if self._error is not None:
                raise self._error
            return None
