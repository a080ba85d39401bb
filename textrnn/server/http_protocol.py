"""HTTP connections: limits for the heads of requests and for clients that read no answer, and errors as JSON."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from textrnn.server.http_error import HttpError

_MAX_HEAD = 64 << 10  # bytes that come without an end of the head


class HttpProtocol(HttpToolsProtocol):
    """HTTP with limits in bytes and seconds.

    Each head must end ``head_seconds`` after its first byte, the first one after the connection began. A client that
    reads no answer for ``idle`` seconds is disconnected.
    """

    head_seconds = 10.0
    _head = 0
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, idle: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._idle = idle

    def connection_made(self, transport: Any) -> None:
        """Start the clock for the first head."""
        super().connection_made(transport)
        self._start_head()

    def _start_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._end_head()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read ``data``; refuse a head that does not end."""
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._start_head()
        self._head += len(data)
        super().data_received(data)
        if self._head > _MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("the head is too large")

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._head = 0
        self._end_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on."""
        self._head = 0
        super().on_body(body)

    def pause_writing(self) -> None:
        """Start the clock for a client that reads no answer."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self._idle, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop that clock."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """Answer ``msg`` as JSON, and close the connection."""
        error = HttpError(400, msg.rstrip(".").lower(), where="head of the request", fix="send valid HTTP/1.1")
        body = json.dumps(error.content).encode() + b"\n"
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()
