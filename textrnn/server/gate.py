"""The gate of all requests: the token, a line of the log, and the counters."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textrnn.server.http_error import HttpError
from textrnn.server.monitoring import Metrics, log_event

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz"})
"""The paths that need no token: the page has no data, and a load balancer has no token."""
OBSERVED = "textrnn"
"""The key of the scope where handlers put what the log says of a request."""


class Gate:
    """Refuses requests without the ``token`` (None: it lets all pass), and observes the others.

    ``routes`` are the known paths; the counters put all others together.
    """

    def __init__(self, app: ASGIApp, *, token: bytes | None, metrics: Metrics, routes: frozenset[str]) -> None:
        self._app, self._metrics, self._routes = app, metrics, routes
        self._expected = None if token is None else b"Bearer " + token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 499  # nothing was sent: the client has gone
        observed: dict[str, Any] = scope.setdefault(OBSERVED, {})

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff")]
            await send(message)

        try:
            if self._is_allowed(scope):
                await self._app(scope, receive, send_observed)
            else:
                await _make_refusal()(scope, receive, send_observed)
        finally:
            self._observe(scope, status, seconds=time.perf_counter() - start, observed=observed)

    def _is_allowed(self, scope: Scope) -> bool:
        if self._expected is None or scope["path"] in OPEN_PATHS:
            return True
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return hmac.compare_digest(given, self._expected)

    def _observe(self, scope: Scope, status: int, *, seconds: float, observed: dict[str, Any]) -> None:
        path = scope["path"]
        route = path if path in self._routes else "other"
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if "texts" in observed:
            self._metrics.texts.labels(observed["model"]).inc(observed["texts"])
        client = (scope.get("client") or ("",))[0]
        fields = {"method": scope["method"], "path": path[:200], "status": status, "ms": round(1000 * seconds, 2)}
        log_event("request", **fields, client=client, **observed)


def _make_refusal() -> Callable[..., Any]:
    fix = "send the header Authorization: Bearer TOKEN"
    headers = {"WWW-Authenticate": "Bearer"}
    return HttpError(
        401, "the token is missing or wrong", where="Authorization", fix=fix, headers=headers
    ).to_response()
