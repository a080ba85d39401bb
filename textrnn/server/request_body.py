"""The texts and options of a request: its body within limits, and its query."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from starlette.requests import ClientDisconnect, Request

from textrnn.api.labelled_texts import clean
from textrnn.inference.engine import Engine
from textrnn.server.http_error import HttpError

JSON, NDJSON = "application/json", "application/x-ndjson"
PREDICT_OPTIONS = ("model", "top_k", "threshold")
EXPLAIN_OPTIONS = ("model", "label")

_DISCARDED = 4  # bodies up to this many times the limit are read, since most clients see no answer before
_EXAMPLE = 'send {"text": "a text"} or {"texts": ["a text", "another"]}'


class Question(NamedTuple):
    """The texts of a request and its options by name; ``is_list`` if it asks for a list of answers."""

    texts: list[str]
    is_list: bool
    options: dict[str, Any]


def find_type(request: Request, allowed: Collection[str]) -> str:
    """Return the content type of ``request``; raises HttpError 415 if it is not ``allowed``."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    fix = f"send Content-Type: {' or '.join(allowed)}"
    if kind.strip() not in allowed:
        raise HttpError(415, f"unsupported content type {kind.strip() or '(none)'!r}", where="Content-Type", fix=fix)
    if "charset" in parameters and "utf-8" not in parameters.replace("utf8", "utf-8"):
        raise HttpError(415, "unsupported charset", where="Content-Type", fix="send UTF-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HttpError(
            415, "compressed bodies are not supported", where="Content-Encoding", fix="send it uncompressed"
        )
    return kind.strip()


async def read_body(request: Request, *, limit: int) -> bytes:
    """Return the body; raises HttpError 413 if it has more than ``limit`` bytes, 499 if the client has gone."""
    length = request.headers.get("content-length", "0")
    size = int(length) if length.isdigit() else 0
    if size > _DISCARDED * limit or (size > limit and "expect" in request.headers):
        raise make_size_error(limit)
    body, size = bytearray(), 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > _DISCARDED * limit:
                break
            if size <= limit:
                body += part
            else:
                body.clear()
    except ClientDisconnect:  # nobody reads the answer, but the log has its status
        raise HttpError(499, "the client has gone", where="body", fix="send the whole body") from None
    if size > limit:
        raise make_size_error(limit)
    return bytes(body)


def make_size_error(limit: int) -> HttpError:
    """Return the error of a body or line of more than ``limit`` bytes."""
    fix = f"send at most {limit:,} bytes (--max-body), or lines as {NDJSON}"
    return HttpError(413, "the body or line is too large", where="body", fix=fix, headers={"Connection": "close"})


def parse_json(body: bytes, *, fix: str = _EXAMPLE) -> Any:
    """Return the value of ``body``; raises HttpError 400 with the place of the first error, and how to ``fix`` it."""
    try:
        return json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise HttpError(400, "not UTF-8", where=f"byte {error.start + 1}", fix="send JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise HttpError(400, f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}", where=where, fix=fix) from None
    except (RecursionError, ValueError):  # a number of thousands of digits
        raise HttpError(
            400, "not JSON: nested too deeply, or a number is too long", where="body", fix=_EXAMPLE
        ) from None


def parse_question(body: bytes, query: Mapping[str, str], *, allowed: Collection[str], max_texts: int) -> Question:
    """Return what a JSON ``body`` and ``query`` ask; raises HttpError 400 or 413."""
    content = parse_json(body)
    if not isinstance(content, dict) or len(content.keys() & {"text", "texts"}) != 1:
        raise HttpError(400, "the body should be an object with the key text or texts", where="body", fix=_EXAMPLE)
    is_list = "texts" in content
    texts = content.pop("texts" if is_list else "text")
    if is_list and not isinstance(texts, list):
        raise HttpError(400, "texts should be a list", where="body, texts", fix=_EXAMPLE)
    if is_list and len(texts) > max_texts:
        fix = f"send at most {max_texts:,} (--max-texts), or lines as {NDJSON}"
        raise HttpError(413, f"{len(texts):,} texts are too many", where="body, texts", fix=fix)
    if both := content.keys() & query.keys():
        raise HttpError(400, f"{min(both)} is in the query and in the body", where="query", fix="leave one out")
    listed = texts if is_list else [texts]
    checked = [check_text(text, f"texts[{place}]" if is_list else "text") for place, text in enumerate(listed)]
    options = parse_options(content, allowed=allowed, source="body") | parse_options(query, allowed=allowed)
    return Question(checked, is_list, options)


def check_text(text: object, name: str) -> str:
    """Return ``text`` on one line, as ``predict --field`` reads it; raises HttpError 400 if it is no text."""
    if not isinstance(text, str):
        kind = {"NoneType": "null", "dict": "an object", "list": "a list"}.get(type(text).__name__, "a number")
        raise HttpError(400, f"{name} is {kind}, not a text", where=f"body, {name}", fix="send a string")
    return clean(text).replace("\r\n", " ").replace("\n", " ").replace("\r", " ")


def parse_options(given: Mapping[str, Any], *, allowed: Collection[str], source: str = "query") -> dict[str, Any]:
    """Return the options ``given`` in the query or the body by name; raises HttpError 400 for unknown or wrong ones."""
    if unknown := [name for name in given if name not in allowed]:
        what, fix = f"unknown option {unknown[0][:40]!r}", f"options are {', '.join(allowed)}"
        raise HttpError(400, what, where=source, fix=fix)
    parsed = {}
    for name, value in given.items():
        kind, parse = _PARSERS[name]
        parsed[name] = parse(value)
        if parsed[name] is None:
            raise HttpError(
                400, f"{name} is not {kind}", where=f"{source}, {name}", fix=f"send {kind}, or leave it out"
            )
    return parsed


def check_options(engine: Engine, options: Mapping[str, Any]) -> None:
    """Raise HttpError 400 if ``options`` do not fit the model."""
    if engine.anchors is not None and options:
        raise HttpError(400, "the model predicts scores", where=(name := next(iter(options))), fix=f"leave {name} out")
    if "threshold" in options and engine.thresholds is None:
        raise HttpError(400, "the model is single-label", where="threshold", fix="leave the threshold out")
    label = options.get("label", [])
    if isinstance(label, list) and len(label) > 1 and engine.thresholds is None:
        raise HttpError(400, "the model is single-label", where="label", fix="send one label")
    if unknown := [name for name in ([label] if isinstance(label, str) else label) if name not in engine.labels]:
        shown = ", ".join(engine.labels[:10]) + (", ..." if len(engine.labels) > 10 else "")
        raise HttpError(
            400, f"the model has no label {unknown[0][:40]!r}", where="label", fix=f"its labels are {shown}"
        )


def _parse_count(value: Any) -> int | None:
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
    return value if type(value) is int and value >= 1 else None


def _parse_share(value: Any) -> float | None:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= 1 else None


def _parse_labels(value: Any) -> str | list[str] | None:
    is_list = isinstance(value, list) and value and all(isinstance(label, str) for label in value)
    return value if is_list or isinstance(value, str) else None


_PARSERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "model": ("the name of a model", lambda value: value if isinstance(value, str) else None),
    "top_k": ("an integer of 1 or more", _parse_count),
    "threshold": ("a number from 0 to 1", _parse_share),
    "label": ("a label or a list of labels", _parse_labels),
}
