"""Metrics for Prometheus, and the log: JSON lines on stderr, without texts."""

from __future__ import annotations

import json
import logging
import os
import traceback
from datetime import datetime, timezone

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that makes prometheus_client share its figures through files; it is read when that is imported."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

log = logging.getLogger("textrnn.server")


class Metrics:
    """The figures of a process; with :data:`MULTIPROCESS_FOLDER`, :meth:`render` adds up those of all processes."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._registry = own
        self.requests = Counter("textrnn_requests", "Requests answered.", ["route", "status"], registry=own)
        self.seconds = Histogram(
            "textrnn_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ["route"],
            registry=own,
            buckets=_SECONDS,
        )
        self.texts = Counter("textrnn_texts", "Texts answered.", ["model"], registry=own)
        self.batch_texts = Histogram("textrnn_batch_texts", "Texts of a batch.", registry=own, buckets=_TEXTS)
        self.queue = Gauge(
            "textrnn_queue_texts", "Texts admitted and not yet answered.", registry=own, multiprocess_mode="livesum"
        )

    def render(self) -> bytes:
        """Return the figures in Prometheus's text format."""
        registry = self._registry
        if MULTIPROCESS_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the log line if stderr is closed."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, event and the fields of ``extra={"fields": ...}``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; an exception gives its type and places, but no message, which may quote a text."""
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        row: dict[str, object] = {"time": time, "level": record.levelname.lower(), "event": record.getMessage().strip()}
        row |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            row["exception"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            row["places"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(row, ensure_ascii=False, default=str)


def start_log() -> None:
    """Write the log of the server, and uvicorn's warnings, to stderr."""
    handler = _Lines()
    handler.setFormatter(JsonFormatter())
    for name, level in ((log.name, logging.INFO), ("uvicorn.error", logging.WARNING), ("asyncio", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def log_event(event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Write a line with ``fields`` to the log."""
    log.log(level, event, extra={"fields": fields})
