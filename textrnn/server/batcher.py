"""Micro-batches: texts of concurrent requests are computed together, in one thread."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.server.http_error import RETRY, HttpError
from textrnn.server.monitoring import Metrics
from textrnn.server.settings import Settings

Rows = list[dict[str, object]]


@dataclass(eq=False)
class Job:
    """Work of a request: ``answer`` gets the log probabilities (B, C) of ``texts``; without texts it runs alone."""

    engine: Engine
    texts: Sequence[str]
    answer: Callable[[Array | None], Rows]
    future: asyncio.Future[Rows] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    arrival: float = field(default_factory=time.monotonic)


class Batcher:
    """Computes the jobs of an event loop in the order of their arrival.

    A job that finds the engine idle starts at once. Jobs that arrive while a batch is computed form the next one, which
    starts when it has ``max_batch`` texts or its oldest job has waited ``batch_wait`` seconds.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._jobs: deque[Job] = deque()
        self._timer: asyncio.Handle | None = None
        self._is_busy = False
        self._room = asyncio.Condition()
        self._executor = ThreadPoolExecutor(1, "engine")
        self.admitted = 0

    @asynccontextmanager
    async def admit(self, count: int, *, wait: bool = False) -> AsyncIterator[None]:
        """Count ``count`` texts as admitted during the block; if there is no room, ``wait`` or raise HttpError 429."""
        limit = self._settings.max_queue
        if wait:
            async with self._room:
                await self._room.wait_for(lambda: self.admitted == 0 or self.admitted + count <= limit)
        elif self.admitted and self.admitted + count > limit:
            fix = "try again after the seconds in the header Retry-After"
            raise HttpError(429, "too many texts are waiting", where="queue", fix=fix, headers=RETRY)
        self._change(count)
        try:
            yield
        finally:
            self._change(-count)
            async with self._room:
                self._room.notify_all()

    def _change(self, count: int) -> None:
        self.admitted += count
        self._metrics.queue.inc(count)

    async def run(self, engine: Engine, texts: Sequence[str], answer: Callable[[Array | None], Rows]) -> Rows:
        """Return what ``answer`` returns for ``texts``; other requests come between the batches of many texts."""
        rows: Rows = []
        size = self._settings.max_batch
        for start in range(0, max(1, len(texts)), size):
            job = Job(engine, texts[start : start + size], answer)
            self._jobs.append(job)
            self._plan(idle=not self._is_busy and len(self._jobs) == 1)
            rows += await job.future
        return rows

    def close(self) -> None:
        """End the thread once the running batch is done."""
        self._executor.shutdown(wait=False)

    def _plan(self, *, idle: bool) -> None:
        """Start a batch now or later, if the engine is free and there are jobs."""
        if self._is_busy or not self._jobs:
            return
        waited = time.monotonic() - self._jobs[0].arrival
        is_full = sum(len(job.texts) or 1 for job in self._jobs) >= self._settings.max_batch
        delay = 0.0 if idle or is_full else max(0.0, self._settings.batch_wait - waited)
        if self._timer is not None:
            if delay:
                return
            self._timer.cancel()
        loop = asyncio.get_running_loop()  # what arrives in this turn of the loop joins the batch
        self._timer = loop.call_later(delay, self._start) if delay else loop.call_soon(self._start)

    def _start(self) -> None:
        self._timer = None
        batch = self._take()
        if not batch:
            return
        self._is_busy = True
        self._metrics.batch_texts.observe(sum(len(job.texts) for job in batch) or 1)
        running = asyncio.get_running_loop().run_in_executor(self._executor, self._compute, batch)
        running.add_done_callback(lambda done: self._finish(batch, done))

    def _take(self) -> list[Job]:
        """Remove the jobs of the next batch: the oldest, and others for its engine as far as they fit."""
        batch: list[Job] = []
        rest: deque[Job] = deque()
        room = self._settings.max_batch
        for job in self._jobs:
            if job.future.done():  # the request has ended
                continue
            if not batch or (job.engine is batch[0].engine and batch[0].texts and 0 < len(job.texts) <= room):
                batch.append(job)
                room -= len(job.texts)
            else:
                rest.append(job)
        self._jobs = rest
        return batch

    def _compute(self, batch: Sequence[Job]) -> list[Rows]:
        texts = [text for job in batch for text in job.texts]
        if not texts:
            return [job.answer(None) for job in batch]
        found = batch[0].engine.predict_log_probabilities(texts, threads=self._settings.threads)
        rows, start = [], 0
        for job in batch:
            rows.append(job.answer(found[start : start + len(job.texts)]))
            start += len(job.texts)
        return rows

    def _finish(self, batch: Sequence[Job], done: asyncio.Future[Any]) -> None:
        self._is_busy = False
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        for index, job in enumerate(batch):
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(done.result()[index])
            else:
                job.future.set_exception(error)
        self._plan(idle=False)
