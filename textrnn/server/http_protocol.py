"""HTTP connections: limits for the head of a request, and errors as JSON."""

from __future__ import annotations

import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from textrnn.server.http_error import HttpError

_MAX_HEAD = 320 << 10  # bytes that come without an end of the head; asyncio reads up to 256 KiB at once


class HttpProtocol(HttpToolsProtocol):
    """HTTP with limits for the head of a request in bytes, and for that of the first one in seconds."""

    _head, _has_head = 0, False

    def connection_made(self, transport: Any) -> None:
        """Start the clock for the first head."""
        super().connection_made(transport)
        seconds = self.config.timeout_graceful_shutdown
        self._timer = self.loop.call_later(seconds or 0, self._close_if_headless)

    def _close_if_headless(self) -> None:
        if not self._has_head:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read ``data``; refuse a head that does not end."""
        self._head += len(data)
        super().data_received(data)
        if self._head > _MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("the head is too large")

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._head, self._has_head = 0, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on."""
        self._head = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer ``msg`` as JSON, and close the connection."""
        error = HttpError(400, msg.rstrip(".").lower(), where="head of the request", fix="send valid HTTP/1.1")
        body = json.dumps(error.content).encode() + b"\n"
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()
