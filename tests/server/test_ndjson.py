"""Streams of lines: answers before the request ends, bad lines, limits, a server that stops."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from textrnn.server.application import Service
from textrnn.server.model_store import ModelStore
from textrnn.server.settings import Settings


class Stream:
    """A request whose body is sent piece by piece."""

    def __init__(self, service: Service) -> None:
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        headers = [(b"content-type", b"application/x-ndjson")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "headers": headers}
        scope |= {"query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1"}
        self.task = asyncio.ensure_future(service.app(scope, self._sent.get, self._answers.put))

    def send(self, body: bytes, *, more: bool = True) -> None:
        self._sent.put_nowait({"type": "http.request", "body": body, "more_body": more})

    async def receive(self) -> list[dict[str, Any]]:
        """Return the rows of the next part of the answer; none at its end."""
        message = await asyncio.wait_for(self._answers.get(), 20)
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            return await self.receive()
        return [json.loads(line) for line in message["body"].decode().splitlines()]


def test_lines_are_answered_while_the_request_arrives(store: ModelStore) -> None:
    async def talk() -> None:
        stream = Stream(Service(Settings(), store))
        stream.send(b'{"text": "green tea"}\n{"text": "bla')
        assert [row["label"] for row in await stream.receive()] == ["tea"]
        stream.send(b'ck coffee", "id": 7}\nnot JSON\n{"text": "tea", "top_k": 2}\n\n')
        rows = await stream.receive()
        assert rows[0]["label"] == "coffee"
        assert [row["error"]["where"] for row in rows[1:]] == [
            "line 3, column 1",
            "line 4, top_k",
            "line 5, column 1",
        ]
        stream.send(b'{"text": "green tea"}', more=False)
        assert [row["label"] for row in await stream.receive()] == ["tea"]
        assert await stream.receive() == []
        await stream.task

    asyncio.run(talk())


def test_a_long_line_ends_the_stream_after_the_lines_before_it(store: ModelStore) -> None:
    async def talk() -> None:
        stream = Stream(Service(Settings(max_body=50), store))
        stream.send(b'{"text": "green tea"}\n' + b"a" * 60)
        assert [row["label"] for row in await stream.receive()] == ["tea"]
        [row] = await stream.receive()
        assert row["error"]["where"] == "line 2, body"
        assert await stream.receive() == []

    asyncio.run(talk())


def test_many_small_chunks_are_one_line(store: ModelStore) -> None:
    async def talk() -> None:
        stream = Stream(Service(Settings(max_body=1 << 20), store))
        stream.send(b'{"text": "green tea", "x": "')
        for _ in range(10_000):
            stream.send(b"a" * 100)
        stream.send(b'"}\n{"text": ', more=True)
        stream.send(b'"black coffee"}', more=False)
        assert [row["label"] for row in [*await stream.receive(), *await stream.receive()]] == ["tea", "coffee"]

    asyncio.run(asyncio.wait_for(talk(), 20))


def test_an_idle_stream_ends(store: ModelStore) -> None:
    async def talk() -> None:
        stream = Stream(Service(Settings(stream_timeout=0.05), store))
        stream.send(b'{"text": "green tea"}\n{"te')
        assert [row["label"] for row in await stream.receive()] == ["tea"]
        [row] = await stream.receive()
        assert row["error"]["what"] == "nothing came for 0.05 s (--stream-timeout)"
        assert row["error"]["where"] == "line 2, stream"
        assert await stream.receive() == []

    asyncio.run(talk())


def test_lines_without_an_end_fit_the_budget_of_all_streams(store: ModelStore) -> None:
    async def talk() -> None:
        service = Service(Settings(max_body=100), store)  # 800 bytes
        streams = [Stream(service) for _ in range(9)]
        for stream in streams[:8]:
            stream.send(b"a" * 95)
        await asyncio.sleep(0.05)
        streams[8].send(b"a" * 95)
        [row] = await streams[8].receive()
        assert row["error"]["what"] == "open requests have more than 800 bytes"
        assert await streams[8].receive() == []
        for stream in streams[:8]:
            stream._sent.put_nowait({"type": "http.disconnect"})
            await stream.task
        last = Stream(service)
        last.send(b'{"text": "green tea"}', more=False)
        assert [row["label"] for row in await last.receive()] == ["tea"]

    asyncio.run(talk())


def test_a_server_that_stops_answers_what_has_arrived(store: ModelStore) -> None:
    async def talk() -> None:
        service = Service(Settings(), store)
        stream = Stream(service)
        stream.send(b'{"text": "green tea"}\n')
        assert [row["label"] for row in await stream.receive()] == ["tea"]
        service.draining.set()
        [row] = await stream.receive()
        assert row["error"]["what"] == "the server stops"
        assert await stream.receive() == []
        await stream.task

    asyncio.run(talk())


def test_streams_wait_for_room_and_a_gone_client_ends_them(store: ModelStore) -> None:
    async def talk() -> None:
        service = Service(Settings(max_queue=1, max_batch=4), store)
        streams = [Stream(service) for _ in range(3)]
        for stream in streams:
            stream.send(b'{"text": "green tea"}\n' * 8)
        for stream in streams:
            assert [row["label"] for row in [*await stream.receive(), *await stream.receive()]] == ["tea"] * 8
            stream._sent.put_nowait({"type": "http.disconnect"})
            await asyncio.wait_for(stream.task, 20)

    asyncio.run(talk())
