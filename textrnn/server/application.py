"""The ASGI application: the paths and their answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
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
from textrnn.server.http_error import HttpError, JsonResponse, answer_error
from textrnn.server.middleware import LOG_FIELDS, AccessMiddleware
from textrnn.server.model_store import ModelStore
from textrnn.server.monitoring import Metrics
from textrnn.server.ndjson import NdjsonResponse
from textrnn.server.request_body import (
    EXPLAIN_OPTIONS,
    JSON,
    NDJSON,
    PREDICT_OPTIONS,
    BodyBudget,
    Hold,
    PredictRequest,
    check_options,
    find_type,
    parse_options,
    parse_request,
    read_body,
)
from textrnn.server.settings import Settings
from textrnn.server.static_files import describe, read_page

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
        self._budget = BodyBudget(settings.max_body)
        page, page_headers = read_page()
        shown: dict[str, Callable[[], Response]] = {
            "/": lambda: Response(page, headers=page_headers, media_type="text/html"),
            "/models": self._list_models,
            "/healthz": lambda: JsonResponse({"status": "ok"}),
            "/readyz": self._report_readiness,
            "/metrics": lambda: Response(self.metrics.render(), media_type="text/plain; version=0.0.4"),
            "/openapi.json": lambda: JsonResponse(describe(settings, store.engines)),
        }
        answered = {"/predict": self._predict, "/explain": self._explain}
        routes = [Route(path, _make_handler(make)) for path, make in shown.items()]
        routes += [Route(path, handle, methods=["POST"]) for path, handle in answered.items()]
        access = Middleware(
            AccessMiddleware, settings=settings, metrics=self.metrics, routes=shown.keys() | answered.keys()
        )
        headers = ["authorization", "content-type"]
        cors = Middleware(CORSMiddleware, allow_origins=settings.origins, allow_methods=["*"], allow_headers=headers)
        self.app = Starlette(
            routes=routes,
            middleware=[cors, access] if settings.origins else [access],
            exception_handlers=dict.fromkeys((HttpError, HTTPException, Exception), answer_error),
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
        """Every 5 seconds, return freed memory to the system if the queue is empty."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            if not self._batcher.admitted:
                give_back_freed_memory()

    async def _predict(self, request: Request) -> Response:
        deadline = time.monotonic() + self.settings.timeout
        is_stream = find_type(request, (JSON, NDJSON)) == NDJSON
        engine, options = self._find_model(request, PREDICT_OPTIONS)
        answer = _make_answer(engine, options, threads=self.settings.threads)

        async def predict(texts: list[str]) -> Rows:
            end = time.monotonic() + self.settings.timeout if is_stream else deadline
            rows = await self._run(engine, texts, answer, deadline=end, wait=is_stream) if texts else []
            _count_texts(request, len(rows))
            return rows

        if is_stream:
            return NdjsonResponse(self.settings, predict, draining=self.draining, budget=self._budget)
        with self._budget.share() as hold:
            asked = await self._read_request(request, hold, deadline=deadline)
            rows = await predict(asked.texts)
        return JsonResponse({"predictions": rows} if asked.is_list else rows[0])

    async def _explain(self, request: Request) -> Response:
        deadline = time.monotonic() + self.settings.timeout
        find_type(request, (JSON,))
        engine, options = self._find_model(request, EXPLAIN_OPTIONS)
        with self._budget.share() as hold:
            asked = await self._read_request(request, hold, deadline=deadline)
            if asked.is_list:
                fix = 'send {"text": "a text"}'
                raise HttpError(400, "only one text can be explained", where="body, texts", fix=fix)

            def answer(_: Array | None) -> Rows:
                label = options.get("label")
                return [explain(engine, asked.texts[0], label, threads=self.settings.threads).to_row()]

            rows = await self._run(engine, (), answer, deadline=deadline)
        _count_texts(request, 1)
        return JsonResponse(rows[0])

    async def _read_request(self, request: Request, hold: Hold, *, deadline: float) -> PredictRequest:
        """Return the texts of a JSON body; raises HttpError."""
        reading = read_body(request, hold, limit=self.settings.max_body)
        fix = f"send it within {self.settings.timeout:g} s (--timeout)"
        late = HttpError(408, "the body came too slowly", where="body", fix=fix, headers={"Connection": "close"})
        body = await _wait(reading, late, deadline=deadline)
        return parse_request(body, max_texts=self.settings.max_texts)

    def _find_model(self, request: Request, allowed: Collection[str]) -> tuple[Engine, dict[str, Any]]:
        """Return the engine that the query names, and its other options; raises HttpError."""
        options = parse_options(request.query_params.multi_items(), allowed=allowed)
        name = options.pop("model", None)
        try:
            name, engine = self.store.find(name)
        except KeyError:
            names = ", ".join(self.store.engines)
            if name is None:
                fix = f"add ?model=NAME: {names}"
                raise HttpError(400, "several models are loaded", where="query, model", fix=fix) from None
            raise HttpError(404, "no such model", where="query, model", fix=f"use one of: {names}") from None
        request.scope[LOG_FIELDS]["model"] = name
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

    def _list_models(self) -> Response:
        rows = [{"name": name} | _describe_model(engine) for name, engine in self.store.engines.items()]
        return JsonResponse({"models": rows})

    def _report_readiness(self) -> Response:
        is_ready = not self.draining.is_set()
        return JsonResponse({"status": "ready" if is_ready else "stopping"}, 200 if is_ready else 503)


def _make_handler(make: Callable[[], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        del request
        return make()

    return handle


def _count_texts(request: Request, count: int) -> None:
    fields = request.scope[LOG_FIELDS]
    fields["texts"] = fields.get("texts", 0) + count


def _describe_model(engine: Engine) -> dict[str, object]:
    """Return the labels of a model, or the range of its scores."""
    if engine.anchors is not None:
        return {"lowest_score": engine.anchors[0], "highest_score": engine.anchors[-1]}
    return {"labels": list(engine.labels), "multi_label": engine.thresholds is not None}


def _make_answer(engine: Engine, options: dict[str, Any], *, threads: int) -> Callable[[Array | None], Rows]:
    """Return a function that converts log probabilities (B, C) to the rows that `predict --format jsonl` prints."""
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
