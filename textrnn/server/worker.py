"""A process that answers requests, and its signals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from functools import partial

import uvicorn

from textrnn.errors import TextrnnError
from textrnn.server.application import Service
from textrnn.server.http_protocol import HttpProtocol
from textrnn.server.model_store import ModelStore
from textrnn.server.monitoring import log_event
from textrnn.server.settings import Settings

RELOAD = getattr(signal, "SIGHUP", None)
"""The signal that loads the models again; None where the system lacks it."""

_KEEP_ALIVE = 75  # seconds, longer than proxies keep their connections; else they may use one that is being closed
_GRACE = 5  # seconds on top of the time limit of a request


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to :class:`Worker`."""
        yield


class Worker:
    """A process that answers requests; ``parent`` is a pipe that ends with the parent process (None: no parent)."""

    def __init__(self, settings: Settings, store: ModelStore, parent: int | None = None) -> None:
        self._settings, self._store, self._parent = settings, store, parent

    async def run(self, opened: socket.socket) -> None:
        """Serve until a signal; a second one ends the process at once."""
        self._service = Service(self._settings, self._store)
        config = uvicorn.Config(
            self._service.app,
            http=partial(HttpProtocol, idle=self._settings.stream_timeout),  # type: ignore[arg-type]
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=round(self._settings.timeout + _GRACE),
        )
        self._server = _Server(config)
        self._loop = asyncio.get_running_loop()
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle if self._parent is None else signal.SIG_IGN)
        if RELOAD is not None:
            signal.signal(RELOAD, self._handle)
        if self._parent is not None:
            self._loop.add_reader(self._parent, self._lose_parent)
        await self._server.serve(sockets=[opened])

    def _handle(self, number: int, frame: object) -> None:
        del frame
        if not self._server.should_exit:
            self._loop.call_soon_threadsafe(self._reload if number == RELOAD else self._stop)
            self._server.should_exit = number != RELOAD
        elif number != RELOAD:
            log_event("stopped before all requests were answered", level=logging.ERROR, pid=os.getpid())
            os._exit(128 + number)  # the thread that computes cannot be interrupted

    def _lose_parent(self) -> None:
        assert self._parent is not None
        self._loop.remove_reader(self._parent)
        self._handle(signal.SIGTERM, None)

    def _stop(self) -> None:
        self._service.draining.set()
        log_event("stopping", pid=os.getpid())

    def _reload(self) -> None:
        self._loading = self._loop.run_in_executor(None, reload, self._store)


def reload(store: ModelStore) -> bool:
    """Load the models again; return False and log the reason if one cannot be loaded. The old ones then stay."""
    try:
        store.reload()
    except Exception as error:
        is_known = isinstance(error, TextrnnError | OSError)
        reason = str(error) if is_known else f"{type(error).__name__}: {error}".removesuffix(": ")
        log_event("reload failed", level=logging.ERROR, error=reason, fix="the old models stay; send SIGHUP again")
        return False
    log_event("reloaded", models=[*store.engines], pid=os.getpid())
    return True
