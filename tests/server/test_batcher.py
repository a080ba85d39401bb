"""Micro-batches: concurrent requests share them, and each gets its own answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from textrnn.inference.engine import Engine
from textrnn.server.application import Service
from textrnn.server.batcher import Batcher
from textrnn.server.model_store import ModelStore
from textrnn.server.monitoring import Metrics
from textrnn.server.settings import Settings


class Counting(Engine):
    """An engine that keeps the sizes of its batches."""

    sizes: list[int]

    def predict_log_probabilities(self, texts: Any, *, threads: int | None = None) -> Any:
        self.sizes.append(len(texts))
        return super().predict_log_probabilities(texts, threads=threads)


@pytest.fixture
def engine(trained: Path) -> Counting:
    engine = Counting(Engine.load(trained / "runs/small").model)
    engine.sizes = []
    return engine


def test_concurrent_answers_are_not_crossed(engine: Counting) -> None:
    texts = [f"{'green tea' if i % 3 else 'black coffee'} {'now ' * (i % 11)}{i}" for i in range(300)]
    expected = [json.dumps({"label": p.label, "probability": round(p.probability, 6)}) for [p] in engine.predict(texts)]
    engine.sizes.clear()
    service = Service(Settings(max_batch=32), ModelStore({"default": None}, lambda _: engine))

    async def send() -> list[str]:
        transport = httpx.ASGITransport(service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            answers = await asyncio.gather(*(client.post("/predict", json={"text": text}) for text in texts))
        return [answer.text.strip() for answer in answers]

    assert asyncio.run(send()) == expected
    assert sum(engine.sizes) == 300
    assert max(engine.sizes) == 32
    assert len(engine.sizes) < 60


def run(engine: Engine, batcher: Batcher, count: int) -> Any:
    return batcher.run(engine, ["tea"] * count, lambda found: [{"rows": 1}] * (0 if found is None else len(found)))


def test_many_texts_leave_room_between_their_batches(engine: Counting) -> None:
    batcher = Batcher(Settings(max_batch=4, batch_wait=10), Metrics())

    async def race() -> list[str]:
        ends: list[str] = []
        tasks = [asyncio.ensure_future(run(engine, batcher, count)) for count in (40, 1)]
        for name, task in zip(("many", "one"), tasks, strict=True):
            task.add_done_callback(lambda _, name=name: ends.append(name))
        done = await asyncio.wait_for(asyncio.gather(*tasks), 8)
        assert [*map(len, done)] == [40, 1]
        return ends

    assert asyncio.run(race()) == ["one", "many"]
    assert sum(engine.sizes) == 41


def test_requests_that_ended_are_not_computed(engine: Counting) -> None:
    batcher = Batcher(Settings(max_batch=1), Metrics())

    async def cancel() -> None:
        tasks = [asyncio.ensure_future(run(engine, batcher, 1)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in done] == [False, True, False]

    asyncio.run(cancel())
    assert engine.sizes == [1, 1]


def test_an_error_of_a_batch_reaches_its_requests_and_the_next_one_works(engine: Counting) -> None:
    batcher = Batcher(Settings(), Metrics())

    async def fail() -> None:
        with pytest.raises(TypeError):
            await batcher.run(engine, [None], lambda _: [])  # type: ignore[list-item]
        assert len(await run(engine, batcher, 2)) == 2

    asyncio.run(fail())
