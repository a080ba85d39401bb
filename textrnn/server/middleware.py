"""ASGI middleware: authentication, access log and request metrics."""

from __future__ import annotations

import hmac
import time
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textrnn.server.http_error import RETRY, HttpError
from textrnn.server.monitoring import Metrics, log_event
from textrnn.server.settings import Settings

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz"})
"""The paths that need no token: the page has no data, and a load balancer has no token."""
LOG_FIELDS = "textrnn"
"""The key of the scope where handlers put what the log says about a request."""


class AccessMiddleware:
    """Refuses requests that :class:`Settings` do not allow, and logs and counts all.

    ``routes`` are the known paths; the counters put all others together.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: Metrics, routes: Collection[str]) -> None:
        self._app, self._settings, self._metrics, self._routes = app, settings, metrics, routes
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 499  # nothing was sent: the client has gone
        scope[LOG_FIELDS] = {}

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff")]
            await send(message)

        self._open += 1
        try:
            refusal = self._find_refusal(scope["path"], Headers(scope=scope))
            await (self._app if refusal is None else refusal.to_response())(scope, receive, send_observed)
        finally:
            self._open -= 1
            self._observe(scope, status, seconds=time.perf_counter() - start)

    def _find_refusal(self, path: str, headers: Headers) -> HttpError | None:
        """Return why a request is refused, or None."""
        host, allowed, limit = headers.get("host", ""), self._settings.hosts, self._settings.max_requests
        if host and allowed is not None and _find_name(host) not in allowed:  # a page of another site, by its own name
            fix = f"use the name {' or '.join(sorted(allowed))}, or start the server with --token-file"
            return HttpError(421, f"not a name of this server: {host[:100]!r}", where="Host", fix=fix)
        if path in OPEN_PATHS:
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        expected = self._settings.token
        given = token.strip().encode("latin-1") if scheme.lower() == "bearer" else b""
        if expected is not None and not hmac.compare_digest(given, expected):
            fix, asked = "send the header Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            return HttpError(401, "the token is missing or wrong", where="Authorization", fix=fix, headers=asked)
        if self._open > limit:
            what, fix = f"{limit:,} requests are open", "try again after the seconds in the header Retry-After"
            return HttpError(503, what, where="server", fix=fix, headers=RETRY | {"Connection": "close"})
        return None

    def _observe(self, scope: Scope, status: int, *, seconds: float) -> None:
        path, observed = scope["path"], scope[LOG_FIELDS]
        route = path if path in self._routes else "other"
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if "texts" in observed:
            self._metrics.texts.labels(observed["model"]).inc(observed["texts"])
        client = (scope.get("client") or ("",))[0]
        fields: dict[str, Any] = {"method": scope["method"], "path": path[:200], "status": status}
        log_event("request", **fields, ms=round(1000 * seconds, 2), client=client, **observed)


def _find_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
