"""The application: the paths, and what they answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from textrnn.inference.engine import Engine, round_score
from textrnn.inference.explain import explain
from textrnn.inference.pooling import Array
from textrnn.native.malloc import give_back_freed_memory
from textrnn.pipeline.labeler import Labeler
from textrnn.server.batcher import Batcher, Rows
from textrnn.server.gate import OBSERVED, Gate
from textrnn.server.http_error import Answer, HttpError, answer_crash, answer_error, answer_http
from textrnn.server.model_store import ModelStore
from textrnn.server.monitoring import Metrics
from textrnn.server.ndjson import LineStream
from textrnn.server.openapi import describe
from textrnn.server.page import read_page
from textrnn.server.request_body import (
    EXPLAIN_OPTIONS,
    JSON,
    NDJSON,
    PREDICT_OPTIONS,
    Question,
    check_options,
    find_type,
    parse_options,
    parse_question,
    read_body,
)
from textrnn.server.settings import Settings

T = TypeVar("T")
_IDLE_SECONDS = 5  # between two looks for memory that can be returned


class Service:
    """The answers of one process; ``app`` is the ASGI application.

    ``draining`` is set when the process should stop: streams then end after the lines that have arrived.
    """

    def __init__(self, settings: Settings, store: ModelStore) -> None:
        self.settings, self.store, self.metrics = settings, store, Metrics()
        self.draining = asyncio.Event()
        self._batcher = Batcher(settings, self.metrics)
        self._page, self._page_headers = read_page()
        paths: dict[str, tuple[Callable[[Request], Awaitable[Response]], str]] = {
            "/": (self._show_page, "GET"),
            "/predict": (self._predict, "POST"),
            "/explain": (self._explain, "POST"),
            "/models": (self._list_models, "GET"),
            "/healthz": (self._report_health, "GET"),
            "/readyz": (self._report_readiness, "GET"),
            "/metrics": (self._report_metrics, "GET"),
            "/openapi.json": (self._describe, "GET"),
        }
        gate = Middleware(Gate, token=settings.token, metrics=self.metrics, routes=frozenset(paths))
        headers = ["authorization", "content-type"]
        cors = Middleware(CORSMiddleware, allow_origins=settings.origins, allow_methods=["*"], allow_headers=headers)
        self.app = Starlette(
            routes=[Route(path, handle, methods=[method]) for path, (handle, method) in paths.items()],
            middleware=[cors, gate] if settings.origins else [gate],
            exception_handlers={HttpError: answer_error, HTTPException: answer_http, Exception: answer_crash},
            lifespan=self._live,
        )
        self.app.router.redirect_slashes = False

    @asynccontextmanager
    async def _live(self, app: Starlette) -> AsyncIterator[None]:
        del app
        task = asyncio.create_task(self._return_memory())
        yield
        task.cancel()
        self._batcher.close()

    async def _return_memory(self) -> None:
        """Return freed memory to the system now and then, when no text is waiting."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            if not self._batcher.admitted:
                give_back_freed_memory()

    async def _predict(self, request: Request) -> Response:
        deadline = time.monotonic() + self.settings.timeout
        if find_type(request, (JSON, NDJSON)) == NDJSON:
            return self._answer_lines(request)
        question = await self._read_question(request, PREDICT_OPTIONS, deadline=deadline)
        engine, options = self._find_model(request, question.options)
        answer = _make_answer(engine, options, threads=self.settings.threads)
        rows = await self._run(engine, question.texts, answer, deadline=deadline) if question.texts else []
        request.scope[OBSERVED]["texts"] = len(rows)
        return Answer({"predictions": rows} if question.is_list else rows[0])

    def _answer_lines(self, request: Request) -> Response:
        engine, options = self._find_model(request, parse_options(request.query_params, allowed=PREDICT_OPTIONS))
        answer = _make_answer(engine, options, threads=self.settings.threads)
        observed = request.scope[OBSERVED]

        async def predict(texts: list[str]) -> Rows:
            deadline = time.monotonic() + self.settings.timeout
            rows = await self._run(engine, texts, answer, deadline=deadline, wait=True)
            observed["texts"] = observed.get("texts", 0) + len(rows)
            return rows

        return LineStream(self.settings, predict, draining=self.draining)

    async def _explain(self, request: Request) -> Response:
        deadline = time.monotonic() + self.settings.timeout
        find_type(request, (JSON,))
        question = await self._read_question(request, EXPLAIN_OPTIONS, deadline=deadline)
        if question.is_list:
            raise HttpError(400, "only one text can be explained", where="body, texts", fix='send {"text": "a text"}')
        engine, options = self._find_model(request, question.options)

        def answer(_: Array | None) -> Rows:
            label = options.get("label")
            return [explain(engine, question.texts[0], label, threads=self.settings.threads).to_row()]

        rows = await self._run(engine, (), answer, deadline=deadline)
        request.scope[OBSERVED]["texts"] = 1
        return Answer(rows[0])

    async def _read_question(self, request: Request, allowed: tuple[str, ...], *, deadline: float) -> Question:
        """Return what the request asks; raises HttpError."""
        reading = read_body(request, limit=self.settings.max_body)
        fix = f"send it within {self.settings.timeout:g} s (--timeout)"
        late = HttpError(408, "the body came too slowly", where="body", fix=fix, headers={"Connection": "close"})
        body = await _wait(reading, late, deadline=deadline)
        return parse_question(body, request.query_params, allowed=allowed, max_texts=self.settings.max_texts)

    def _find_model(self, request: Request, options: dict[str, Any]) -> tuple[Engine, dict[str, Any]]:
        """Return the engine that ``options`` name, and the other options; raises HttpError."""
        name, engine = self.store.find(options.pop("model", None))
        request.scope[OBSERVED]["model"] = name
        check_options(engine, options)
        return engine, options

    async def _run(
        self,
        engine: Engine,
        texts: list[str] | tuple[()],
        answer: Callable[[Array | None], Rows],
        *,
        deadline: float,
        wait: bool = False,
    ) -> Rows:
        """Return the answers; raises HttpError 429 without room (unless ``wait``) and 504 after the ``deadline``."""

        async def run() -> Rows:
            async with self._batcher.admit(len(texts) or 1, wait=wait):
                return await self._batcher.run(engine, texts, answer)

        fix = "send fewer texts at once, or raise --timeout"
        late = HttpError(504, f"no answer within {self.settings.timeout:g} s", where="queue", fix=fix)
        return await _wait(run(), late, deadline=deadline)

    async def _show_page(self, request: Request) -> Response:
        del request
        return Response(self._page, headers=self._page_headers, media_type="text/html")

    async def _list_models(self, request: Request) -> Response:
        del request
        return Answer({"models": [{"name": name} | _describe(engine) for name, engine in self.store.engines.items()]})

    async def _report_health(self, request: Request) -> Response:
        del request
        return Answer({"status": "ok"})

    async def _report_readiness(self, request: Request) -> Response:
        del request
        is_ready = not self.draining.is_set()
        return Answer({"status": "ready" if is_ready else "stopping"}, 200 if is_ready else 503)

    async def _report_metrics(self, request: Request) -> Response:
        del request
        return Response(self.metrics.render(), media_type="text/plain; version=0.0.4")

    async def _describe(self, request: Request) -> Response:
        del request
        return Answer(describe(self.settings, self.store.engines))


def _describe(engine: Engine) -> dict[str, object]:
    """Return the labels of a model, or the range of its scores."""
    if engine.anchors is not None:
        return {"lowest_score": engine.anchors[0], "highest_score": engine.anchors[-1]}
    return {"labels": list(engine.labels), "multi_label": engine.thresholds is not None}


def _make_answer(engine: Engine, options: dict[str, Any], *, threads: int) -> Callable[[Array | None], Rows]:
    """Return the function that makes of log probabilities (B, C) the rows that ``predict --format jsonl`` prints."""
    if engine.anchors is not None:
        return partial(_answer_scores, engine)
    labeler = Labeler(engine, output="jsonl", **options)

    def answer(found: Array | None) -> Rows:
        assert found is not None
        return [labeler.make_row(row, "", threads) for row in engine.rank_labels(found, **options)]

    return answer


def _answer_scores(engine: Engine, found: Array | None) -> Rows:
    """Return the rows of a model of scores."""
    assert found is not None
    return [{"score": round_score(score)} for score in engine.to_scores(found).tolist()]


async def _wait(awaitable: Awaitable[T], late: HttpError, *, deadline: float) -> T:
    try:
        return await asyncio.wait_for(awaitable, max(0.0, deadline - time.monotonic()))
    except asyncio.TimeoutError:
        raise late from None
