"""Malformed, oversized, slow and aborted requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from server_process import Server
from textrnn.server.http_protocol import HttpProtocol

Start = Callable[..., Server]


def test_bad_connections_do_not_harm_the_others(start: Start) -> None:
    server = start("--timeout", 0.3, "--max-body", 0.01)
    host, port = server.url.removeprefix("http://").split(":")
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    cases = {
        b"GARBAGE\r\n\r\n": b"HTTP/1.1 400",
        head + b'20000\r\n\r\n{"text": "' + b"a" * 19_990: b"HTTP/1.1 413",
        head + b"1000000000\r\n\r\n": b"HTTP/1.1 413",
        head + b'100\r\n\r\n{"text": "': b"HTTP/1.1 408",
    }
    for request, expected in cases.items():
        with socket.create_connection((host, int(port)), timeout=30) as bad:
            bad.sendall(request)
            answer = b"".join(iter(partial(bad.recv, 65536), b""))
        assert answer.startswith(expected), request[:80]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["fix"]
    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=30) as bad:
            bad.sendall(head + b'30\r\n\r\n{"text": "a"')
    assert server.post({"text": "green tea"}).json()["label"] == "tea"
    assert server.stop() == 0
    assert [line for line in server.lines if line["level"] == "error"] == []
    assert {line["status"] for line in server.lines if line["event"] == "request"} == {200, 408, 413, 499}


class Hasty(HttpProtocol):
    """The protocol with a short limit for heads."""

    head_seconds = 0.2


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the size of the body, or with 16 MB at /large."""
    body = await Request(scope, receive).body()
    content = bytes(1 << 24) if scope["path"] == "/large" else str(len(body))
    await Response(content)(scope, receive, send)


@contextlib.asynccontextmanager
async def connect() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Run the protocol in this event loop, and connect to it."""
    server = uvicorn.Server(
        uvicorn.Config(answer, http=partial(Hasty, idle=0.2), lifespan="off", log_config=None)  # type: ignore[arg-type]
    )
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]
    opened = socket.create_server(("127.0.0.1", 0))
    running = asyncio.ensure_future(server.serve(sockets=[opened]))
    reader, writer = await asyncio.open_connection(*opened.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await asyncio.wait_for(running, 20)


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"


@pytest.mark.parametrize("requests", [0, 1, 2])
def test_every_head_has_a_time_limit_and_idle_connections_stay(requests: int) -> None:
    async def talk() -> None:
        async with connect() as (reader, writer):
            for _ in range(requests):
                writer.write(HEAD + b"\r\n")
                await asyncio.sleep(0.3)  # bodies have another limit
                writer.write(b"abc")
                assert (await reader.readuntil(b"\r\n\r\n3")).startswith(b"HTTP/1.1 200")
                await asyncio.sleep(0.3)
            writer.write(HEAD)
            assert await asyncio.wait_for(reader.read(), 20) == b""

    asyncio.run(talk())


@pytest.mark.parametrize("requests", [0, 1])
def test_a_head_without_an_end_is_refused(requests: int) -> None:
    async def talk() -> None:
        async with connect() as (reader, writer):
            for _ in range(requests):
                writer.write(HEAD + b"\r\nabc")
                await reader.readuntil(b"\r\n\r\n3")
            writer.write(b"GET / HTTP/1.1\r\nA: ".ljust((64 << 10) + 1, b"b"))
            answer = await asyncio.wait_for(reader.readuntil(b"}}"), 20)
            assert b"the head is too large" in answer

    asyncio.run(talk())


def test_a_client_that_reads_nothing_is_disconnected() -> None:
    async def talk() -> None:
        async with connect() as (reader, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(HEAD.replace(b"POST /", b"POST /large") + b"\r\nabc")
            await asyncio.sleep(0.6)
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1 << 24), 20)

    asyncio.run(talk())
