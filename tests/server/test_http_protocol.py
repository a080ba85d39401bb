"""Malformed, oversized, slow and aborted requests."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from functools import partial

import pytest

from server_process import Server

Start = Callable[..., Server]


def test_bad_connections_do_not_harm_the_others(start: Start) -> None:
    server = start("--timeout", 0.3, "--max-body", 0.01)
    host, port = server.url.removeprefix("http://").split(":")
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
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
    endless = b"GET / HTTP/1.1\r\nA: " + b"b" * (64 << 20)
    with socket.create_connection((host, int(port)), timeout=30) as bad, pytest.raises(ConnectionError):
        bad.sendall(endless)
    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=30) as bad:
            bad.sendall(head + b'30\r\n\r\n{"text": "a"')
    assert server.post({"text": "green tea"}).json()["label"] == "tea"
    assert server.stop() == 0
    assert [line for line in server.lines if line["level"] == "error"] == []
    assert {line["status"] for line in server.lines if line["event"] == "request"} == {200, 408, 413, 499}
