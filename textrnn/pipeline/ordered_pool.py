"""Parallel computation with ordered results, bounded memory and low latency.

One thread reads, ``jobs`` workers compute, and the calling thread takes the results in order. The next chunk is cut
only when a worker is free and contains all items that wait, up to a limit. So a chunk is one line if lines arrive
slowly, and 64 KiB if they arrive fast. There are no timers.
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
"""Accepts items; blocks while enough of them are waiting."""

_CHUNK_BYTES = 1 << 16  # about a batch of the engine; smaller chunks cost more for each text
_ITEM_BYTES = 64  # overhead of an item
_WAIT_SECONDS = 0.5 if sys.platform == "win32" else None  # Windows delivers Ctrl-C only between two waits
_AHEAD = 2  # unfinished chunks for each worker; as much text again may wait to be cut


def run_in_order(
    read: Callable[[Emit[Item]], None],
    compute: Callable[[list[Item], int], Result],
    *,
    size: Callable[[Item], int],
    jobs: int,
) -> Generator[Result, None, None]:
    """Yield ``compute(chunk, threads)`` for chunks of the items that ``read`` emits, in their order.

    A chunk that arrives while nothing else is computed runs in the calling thread with ``jobs`` threads; other chunks
    run in one of ``jobs`` workers with one thread each. Closing the iterator ends everything except a ``read`` that
    waits for input.

    Args:
        read: called once, in its own thread, with the function that accepts the items.
        compute: called concurrently.
        size: returns the bytes of an item; a chunk has at most 64 KiB, or one item.
        jobs: the number of chunks computed at once, at least 1.

    Raises:
        Exception: any error of ``read`` or ``compute``, after the results of all earlier items.
    """
    pool = _OrderedPool(compute, size, jobs)
    threading.Thread(target=pool.read, args=(read,), name="reader", daemon=True).start()
    try:
        yield from pool.results()
    finally:
        pool.stop()


class _StoppedError(Exception):
    """Ends the reading thread."""


class _OrderedPool(Generic[Item, Result]):
    def __init__(self, compute: Callable[[list[Item], int], Result], size: Callable[[Item], int], jobs: int) -> None:
        self._compute, self._size, self._jobs = compute, size, jobs
        self._changed = threading.Condition()  # guards all attributes below
        self._waiting: deque[Item] = deque()  # read, but in no chunk yet
        self._waiting_bytes = 0
        self._chunks: deque[Future[Result] | list[Item]] = (
            deque()
        )  # started, in order; the calling thread computes lists
        self._computing = 0  # number of chunks
        self._pool: ThreadPoolExecutor | None = None
        self._ended = self._stopped = False
        self._error: BaseException | None = None

    def read(self, read: Callable[[Emit[Item]], None]) -> None:
        """Run ``read``; its error is raised after the results of the items that it emitted."""
        error: BaseException | None = None
        try:
            read(self._emit)
        except _StoppedError:
            pass
        except BaseException as raised:  # raised again in the calling thread
            error = raised
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def results(self) -> Generator[Result, None, None]:
        """Yield the results in order, and compute the chunks of the calling thread."""
        while (chunk := self._wait_for_chunk()) is not None:
            result = self._run(chunk, self._jobs) if isinstance(chunk, list) else chunk.result()
            with self._changed:
                self._chunks.popleft()
                self._start_chunks()
            yield result

    def stop(self) -> None:
        """End the workers after their current chunks, and the reader at its next item."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _emit(self, items: Sequence[Item]) -> None:
        size = sum(map(self._item_bytes, items))
        with self._changed:
            self._waiting.extend(items)
            self._waiting_bytes += size
            self._start_chunks()
            self._changed.wait_for(lambda: self._stopped or self._waiting_bytes < _AHEAD * self._jobs * _CHUNK_BYTES)
            if self._stopped:
                raise _StoppedError

    def _start_chunks(self) -> None:
        """Cut chunks of the waiting items while workers are free; called after every change, with the lock held."""
        limit = _AHEAD * self._jobs + 1
        while self._waiting and self._computing < self._jobs and len(self._chunks) < limit and not self._stopped:
            chunk = self._cut()
            self._computing += 1
            if self._chunks or self._waiting:
                self._chunks.append(self._start_pool().submit(self._run, chunk, 1))
            else:
                self._chunks.append(chunk)
        self._changed.notify_all()

    def _cut(self) -> list[Item]:
        chunk = [self._waiting.popleft()]
        size = self._item_bytes(chunk[0])
        while self._waiting and (more := self._item_bytes(self._waiting[0])) + size <= _CHUNK_BYTES:
            chunk.append(self._waiting.popleft())
            size += more
        self._waiting_bytes -= size
        return chunk

    def _item_bytes(self, item: Item) -> int:
        return self._size(item) + _ITEM_BYTES

    def _run(self, chunk: list[Item], threads: int) -> Result:
        try:
            return self._compute(chunk, threads)
        finally:
            with self._changed:
                self._computing -= 1
                self._start_chunks()

    def _start_pool(self) -> ThreadPoolExecutor:
        if self._pool is None:
            # a single line needs no pool, and the import takes as long as predicting ten lines
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

            self._pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="worker")
        return self._pool

    def _wait_for_chunk(self) -> Future[Result] | list[Item] | None:
        with self._changed:
            while not self._changed.wait_for(lambda: self._chunks or self._ended, _WAIT_SECONDS):
                pass
            if self._chunks:
                return self._chunks[0]
            if self._error is not None:
                raise self._error
            return None
