"""The processes of the server: one, or several that accept from one socket, and their signals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from textrnn.errors import ConfigError, StoppedError, TextrnnError
from textrnn.server.application import Service
from textrnn.server.http_error import HttpError
from textrnn.server.model_store import ModelStore
from textrnn.server.monitoring import log_event
from textrnn.server.settings import Settings

_BACKLOG = 2048
_MAX_HEAD = 320 << 10  # bytes that come without an end of the head; asyncio reads up to 256 KiB at once
_KEEP_ALIVE = 75  # longer than proxies keep their connections, who would otherwise use one that is being closed
_GRACE = 5  # on top of the time limit of a request
_RESPAWN = 1.0  # the shortest life of a worker that is replaced at once
_RELOAD = getattr(signal, "SIGHUP", None)


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``host`` and ``port`` (0: the system chooses).

    Raises:
        ConfigError: the address is invalid or in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ConfigError(f"--host {host}: unknown; give an address of this machine, such as 127.0.0.1") from None
    opened = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        reason = (error.strerror or str(error)).lower()
        fix = "choose another --port" if "use" in reason or port else "choose another --host"
        raise ConfigError(f"--host {host} --port {port}: {reason}; {fix}") from None
    return opened


def serve(settings: Settings, store: ModelStore, opened: socket.socket, *, workers: int = 1) -> None:
    """Answer requests on the socket ``opened`` until SIGTERM or Ctrl-C, then finish those that have begun.

    SIGHUP loads the models again. Several ``workers`` are forks, which share the models' memory.

    Raises:
        StoppedError: a second signal ended the process before all requests were answered.
    """
    host, port, *_ = opened.getsockname()
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log_event("started", url=url, models=[*store.engines], workers=workers, pid=os.getpid())
    if workers > 1:
        _Workers(settings, store, opened).run(workers)
    else:
        number = asyncio.run(_Process(settings, store).run(opened))
        if number is not None:
            raise StoppedError(number, "stopped before all requests were answered")
    log_event("stopped")


class _Protocol(HttpToolsProtocol):
    """HTTP with limits for the head of a request in bytes, and for that of the first one in seconds."""

    _head, _has_head = 0, False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        seconds = self.config.timeout_graceful_shutdown
        self._timer = self.loop.call_later(seconds or 0, self._close_if_headless)

    def _close_if_headless(self) -> None:
        if not self._has_head:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head += len(data)
        super().data_received(data)
        if self._head > _MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("the head is too large")

    def on_headers_complete(self) -> None:
        self._head, self._has_head = 0, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer ``msg`` as JSON, and close the connection."""
        fault = HttpError(
            400, msg.rstrip(".").lower(), where="head of the request", fix="send a valid HTTP/1.1 request"
        )
        body = json.dumps(fault.content).encode() + b"\n"
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to :class:`_Process`."""
        yield


class _Process:
    """A process that answers requests; ``parent`` is a pipe that ends with the parent process (None: no parent)."""

    def __init__(self, settings: Settings, store: ModelStore, parent: int | None = None) -> None:
        self._settings, self._store, self._parent = settings, store, parent
        self._stopped_by: int | None = None

    async def run(self, opened: socket.socket) -> int | None:
        """Serve until a signal; return the number of a second one that ended it, or None."""
        self._service = Service(self._settings, self._store)
        config = uvicorn.Config(
            self._service.app,
            http=_Protocol,
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
        if _RELOAD is not None:
            signal.signal(_RELOAD, self._handle)
        if self._parent is not None:
            self._loop.add_reader(self._parent, self._lose_parent)
        await self._server.serve(sockets=[opened])
        return self._stopped_by if self._server.force_exit else None

    def _handle(self, number: int, frame: object) -> None:
        del frame
        self._loop.call_soon_threadsafe(self._reload if number == _RELOAD else self._stop, number)

    def _lose_parent(self) -> None:
        assert self._parent is not None
        self._loop.remove_reader(self._parent)
        self._stop(signal.SIGTERM)

    def _stop(self, number: int) -> None:
        self._stopped_by = number
        self._server.force_exit = self._server.should_exit
        self._server.should_exit = True
        self._service.draining.set()
        log_event("stopping", pid=os.getpid())

    def _reload(self, number: int) -> None:
        del number
        self._loading = self._loop.run_in_executor(None, reload, self._store)


def reload(store: ModelStore) -> bool:
    """Load the models again; return False and log the reason if one cannot be loaded. The old ones then stay."""
    try:
        store.reload()
    except (TextrnnError, OSError, MemoryError) as error:
        reason = str(error) or "out of memory"
        log_event("reload failed", level=logging.ERROR, error=reason, fix="the old models stay; send SIGHUP again")
        return False
    log_event("reloaded", models=[*store.engines], pid=os.getpid())
    return True


class _Workers:
    """The parent of the workers: replaces those that end, and passes signals on."""

    def __init__(self, settings: Settings, store: ModelStore, opened: socket.socket) -> None:
        self._settings, self._store, self._opened = settings, store, opened
        self._started: dict[int, float] = {}
        self._stopping = 0

    def run(self, count: int) -> None:
        """Run ``count`` workers until a signal ends them all; raises StoppedError after a second one."""
        assert _RELOAD is not None
        self._pipe = os.pipe()
        handled = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, _RELOAD}
        signal.signal(signal.SIGCHLD, lambda *_: None)  # ignored signals do not wake sigwait everywhere
        signal.pthread_sigmask(signal.SIG_BLOCK, handled)
        for _ in range(count):
            self._fork(handled)
        while self._started:
            number = signal.sigwait(handled)
            if number == signal.SIGCHLD:
                self._reap(handled)
            elif number == _RELOAD:
                if reload(self._store):
                    self._send(number)
            else:
                self._stopping += 1
                self._send(signal.SIGTERM if self._stopping == 1 else signal.SIGKILL)
        if self._stopping > 1:
            raise StoppedError(number, "stopped before all requests were answered")

    def _fork(self, handled: set[signal.Signals]) -> None:
        sys.stderr.flush()
        process = os.fork()
        if process:
            self._started[process] = time.monotonic()
            return
        status = 1
        try:
            os.close(self._pipe[1])
            signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
            asyncio.run(_Process(self._settings, self._store, self._pipe[0]).run(self._opened))
            status = 0
        except BaseException:
            logging.getLogger("textrnn.server").exception("worker failed")
        finally:
            os._exit(status)  # what the parent cleans up is its own

    def _reap(self, handled: set[signal.Signals]) -> None:
        while self._started:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            mark_process_dead(process)  # type: ignore[no-untyped-call]
            lived = time.monotonic() - self._started.pop(process)
            if not self._stopping:
                log_event("worker ended", level=logging.ERROR, pid=process, status=os.waitstatus_to_exitcode(status))
                time.sleep(max(0.0, _RESPAWN - lived))
                self._fork(handled)

    def _send(self, number: int) -> None:
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
