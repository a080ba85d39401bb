"""The description of the paths as an OpenAPI document, with the models and limits of this server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import textrnn
from textrnn.inference.engine import Engine, round_score
from textrnn.server.request_body import JSON, NDJSON
from textrnn.server.settings import Settings

Node = dict[str, Any]

_TEXT = "i want my money back"
_ERRORS = {
    400: "malformed JSON, or a wrong option",
    401: "the token is missing or wrong",
    404: "no such model",
    408: "the body came too slowly",
    413: "the body, or the number of texts, is too large",
    415: "unsupported content type",
    429: "too many texts are waiting; see Retry-After",
    504: "no answer within the time limit",
}


def describe(settings: Settings, engines: Mapping[str, Engine]) -> Node:
    """Return the document for these limits and models."""
    engine = next(iter(engines.values()))
    row = _make_row(engine)
    effect: object = [0.31] if engine.thresholds is not None else 0.31
    explanation = row | {"parts": [{"text": "money", "effect": effect}]}
    texts = {"type": "array", "items": {"type": "string"}, "maxItems": settings.max_texts}
    one: Node = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    many = {"type": "object", "properties": {"texts": texts}, "required": ["texts"]}
    labels = {"type": "array", "items": {"type": "string"}}
    explained = {**one, "properties": {**one["properties"], "label": {"oneOf": [{"type": "string"}, labels]}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "textrnn", "version": textrnn.__version__, "description": _describe_limits(settings)},
        "paths": {
            "/predict": {
                "post": {
                    "summary": "Label or score one text, a list of texts, or lines as they arrive.",
                    "parameters": [_model(engines), *_PARAMETERS],
                    "requestBody": {
                        "required": True,
                        "content": {
                            JSON: _media(
                                {"oneOf": [one, many]}, one={"text": _TEXT}, list={"texts": [_TEXT, "thanks"]}
                            ),
                            NDJSON: _media({"type": "string"}, lines=f'{{"text": "{_TEXT}"}}\n{{"text": "thanks"}}\n'),
                        },
                    },
                    "responses": _responses(_media({"type": "object"}, one=row, list={"predictions": [row, row]})),
                }
            },
            "/explain": {
                "post": {
                    "summary": "Return the effect of each word on the probability of the label, or on the score.",
                    "parameters": [_model(engines)],
                    "requestBody": {"required": True, "content": {JSON: _media(explained, one={"text": _TEXT})}},
                    "responses": _responses(_media({"type": "object"}, one=explanation)),
                }
            },
            "/models": _get("List the models with their labels, or the range of their scores."),
            "/healthz": _get("Return 200 while the process runs."),
            "/readyz": _get("Return 200 while requests are accepted, and 503 while the server stops."),
            "/metrics": _get("Return metrics for Prometheus.", kind="text/plain"),
        },
        "components": {
            "schemas": {"Error": _ERROR},
            **({} if settings.token is None else {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}),
        },
        **({} if settings.token is None else {"security": [{"token": []}]}),
    }


_PARAMETERS = [
    {
        "name": "top_k",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1},
        "description": "labels of a text",
    },
    {
        "name": "threshold",
        "in": "query",
        "schema": {"type": "number", "minimum": 0, "maximum": 1},
        "description": "multi-label models: the least probability of an assigned label",
    },
]
_WORDS = {"what": {"type": "string"}, "where": {"type": "string"}, "fix": {"type": "string"}}
_ERROR = {"type": "object", "properties": {"error": {"type": "object", "properties": _WORDS, "required": [*_WORDS]}}}


def _make_row(engine: Engine) -> Node:
    if engine.anchors is not None:
        return {"score": round_score(float(engine.anchors.mean()))}
    if engine.thresholds is not None:
        return {"label": [engine.labels[0]], "probability": [0.912345]}
    return {"label": engine.labels[0], "probability": 0.912345}


def _describe_limits(settings: Settings) -> str:
    return (
        f"Bodies and lines have at most {settings.max_body:,} bytes, lists at most {settings.max_texts:,} texts. "
        f"{settings.max_queue:,} texts may wait, each request {settings.timeout:g} s. Options of a JSON body may also "
        "be keys of its object."
    )


def _model(engines: Mapping[str, Engine]) -> Node:
    schema = {"type": "string", "enum": [*engines]}
    return {"name": "model", "in": "query", "required": len(engines) > 1, "schema": schema}


def _media(schema: Node, **examples: object) -> Node:
    return {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}


def _responses(answer: Node) -> Node:
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "the answer, as textrnn predict --format jsonl prints it", "content": {JSON: answer}},
        **{str(status): {"description": text, "content": error} for status, text in _ERRORS.items()},
    }


def _get(summary: str, *, kind: str = JSON) -> Node:
    return {"get": {"summary": summary, "responses": {"200": {"description": "done", "content": {kind: {}}}}}}
