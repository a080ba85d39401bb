"""The processes of the server: one, or several that accept from one socket, and their signals."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import time
from ipaddress import ip_address

from prometheus_client.multiprocess import mark_process_dead

from textrnn.errors import ConfigError, StoppedError
from textrnn.server.model_store import ModelStore
from textrnn.server.monitoring import log_event
from textrnn.server.settings import Settings
from textrnn.server.worker import RELOAD, Worker, reload

_BACKLOG = 2048
_RESPAWN = 1.0  # the shortest life of a worker that is replaced at once


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
        fix = f"choose another {'--port' if error.errno in (errno.EADDRINUSE, errno.EACCES) else '--host'}"
        raise ConfigError(f"--host {host} --port {port}: {reason}; {fix}") from None
    return opened


def find_hosts(opened: socket.socket, host: str) -> frozenset[str] | None:
    """Return the names of this machine, and ``host``, if ``opened`` is a loopback address; otherwise None: any name."""
    address = ip_address(opened.getsockname()[0].partition("%")[0])
    return frozenset({"localhost", "127.0.0.1", "::1", host.lower()}) if address.is_loopback else None


def serve(settings: Settings, store: ModelStore, opened: socket.socket, *, workers: int = 1) -> None:
    """Answer requests on the socket ``opened`` until SIGTERM or Ctrl-C, then finish those that have begun.

    SIGHUP loads the models again. Several ``workers`` are forks, which share the models' memory.

    Raises:
        StoppedError: a second signal ended the workers before all requests were answered.
    """
    host, port, *_ = opened.getsockname()
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log_event("started", url=url, models=[*store.engines], workers=workers, pid=os.getpid())
    if workers > 1:
        _Workers(settings, store, opened).run(workers)
    else:
        asyncio.run(Worker(settings, store).run(opened))
    log_event("stopped")


class _Workers:
    """The parent of the workers: replaces those that end, and passes signals on."""

    def __init__(self, settings: Settings, store: ModelStore, opened: socket.socket) -> None:
        self._settings, self._store, self._opened = settings, store, opened
        self._started: dict[int, float] = {}
        self._stops: list[int] = []

    def run(self, count: int) -> None:
        """Run ``count`` workers until a signal ends them all; raises StoppedError after a second one."""
        assert RELOAD is not None
        self._pipe = os.pipe()
        handled = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, RELOAD}
        signal.signal(signal.SIGCHLD, lambda *_: None)  # ignored signals do not wake sigwait everywhere
        signal.pthread_sigmask(signal.SIG_BLOCK, handled)
        for _ in range(count):
            self._fork(handled)
        while self._started:
            number = signal.sigwait(handled)
            if number == signal.SIGCHLD:
                self._reap(handled)
            elif number == RELOAD:
                if reload(self._store):
                    self._send(number)
            else:
                self._stops.append(number)
                self._send(signal.SIGTERM if len(self._stops) == 1 else signal.SIGKILL)
        if len(self._stops) > 1:
            raise StoppedError(self._stops[1], "stopped before all requests were answered")

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
            asyncio.run(Worker(self._settings, self._store, self._pipe[0]).run(self._opened))
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
            if not self._stops:
                log_event("worker ended", level=logging.ERROR, pid=process, status=os.waitstatus_to_exitcode(status))
                time.sleep(max(0.0, _RESPAWN - lived))
                self._fork(handled)

    def _send(self, number: int) -> None:
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
