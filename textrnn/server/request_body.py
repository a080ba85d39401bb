"""The texts and options of a request: its body within limits, and its query."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from starlette.requests import ClientDisconnect, Request

from textrnn.api.labelled_texts import clean
from textrnn.inference.engine import Engine
from textrnn.server.http_error import RETRY, HttpError

JSON, NDJSON = "application/json", "application/x-ndjson"
PREDICT_OPTIONS = ("model", "top_k", "threshold")
EXPLAIN_OPTIONS = ("model", "label")

_DISCARDED = 4  # bodies up to this many times the limit are read, since most clients see no answer before
_BODIES = 8  # bodies of the largest size that fit the budget
_EXAMPLE = 'send {"text": "a text"} or {"texts": ["a text", "another"]}'
_NUMBERS: dict[str, tuple[Callable[[str], float], float, float, str]] = {
    "top_k": (int, 1, math.inf, "an integer of 1 or more"),
    "threshold": (float, 0, 1, "a number from 0 to 1"),
}

Hold = Callable[[int], None]
"""Sets the number of bytes that a request holds."""


class PredictRequest(NamedTuple):
    """The texts of a request; ``is_list`` if it asks for a list of answers."""

    texts: list[str]
    is_list: bool


class BodyBudget:
    """Bytes of the bodies that are read or answered, all requests together."""

    def __init__(self, max_body: int) -> None:
        self._limit, self._used = _BODIES * max_body, 0

    @contextmanager
    def share(self) -> Iterator[Hold]:
        """Yield a function that sets the bytes held during the block; it raises HttpError 503 if they are too many."""
        held = 0

        def hold(size: int) -> None:
            nonlocal held
            if size > held and self._used - held + size > self._limit:
                what = f"open requests have more than {self._limit:,} bytes"
                fix = "try again after the seconds in the header Retry-After"
                raise HttpError(503, what, where="body", fix=fix, headers=RETRY | {"Connection": "close"})
            self._used += size - held
            held = size

        try:
            yield hold
        finally:
            hold(0)


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


async def read_body(request: Request, hold: Hold, *, limit: int) -> bytes:
    """Return the body; raises HttpError 413 if it has more than ``limit`` bytes, 499 if the client has gone.

    ``hold`` gets the number of its bytes as they come.
    """
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
            hold(size if size <= limit else 0)
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


def parse_request(body: bytes, *, max_texts: int) -> PredictRequest:
    """Return what a JSON ``body`` asks; raises HttpError 400 or 413."""
    content = parse_json(body)
    if not isinstance(content, dict) or len(content.keys() & {"text", "texts"}) != 1:
        raise HttpError(400, "the body should be an object with the key text or texts", where="body", fix=_EXAMPLE)
    if extra := content.keys() - {"text", "texts"}:
        name = min(extra)[:40]
        fix = f"put options into the query: ?{name}="
        raise HttpError(400, f"unknown key {name!r}", where="body", fix=fix)
    if "text" in content:
        return PredictRequest([check_text(content["text"], "text")], is_list=False)
    texts = content["texts"]
    if not isinstance(texts, list):
        raise HttpError(400, "texts should be a list", where="body, texts", fix=_EXAMPLE)
    if len(texts) > max_texts:
        fix = f"send at most {max_texts:,} (--max-texts), or lines as {NDJSON}"
        raise HttpError(413, f"{len(texts):,} texts are too many", where="body, texts", fix=fix)
    return PredictRequest([check_text(text, f"texts[{place}]") for place, text in enumerate(texts)], is_list=True)


def check_text(text: object, name: str) -> str:
    """Return ``text`` on one line, as ``predict --field`` reads it; raises HttpError 400 if it is no text."""
    if not isinstance(text, str):
        kind = {"NoneType": "null", "dict": "an object", "list": "a list"}.get(type(text).__name__, "a number")
        raise HttpError(400, f"{name} is {kind}, not a text", where=f"body, {name}", fix="send a string")
    return clean(text).replace("\r\n", " ").replace("\n", " ").replace("\r", " ")


def parse_options(query: Iterable[tuple[str, str]], *, allowed: Collection[str]) -> dict[str, Any]:
    """Return the options of a query by name; raises HttpError 400 for unknown, wrong or repeated ones.

    ``label`` may be repeated, and is a list.
    """
    parsed: dict[str, Any] = {}
    for name, value in query:
        if name not in allowed:
            fix = f"options are {', '.join(allowed)}"
            raise HttpError(400, f"unknown option {name[:40]!r}", where="query", fix=fix)
        if name == "label":
            parsed.setdefault(name, []).append(value)
        elif name in parsed:
            raise HttpError(400, f"{name} is given twice", where=f"query, {name}", fix="give it once")
        else:
            parsed[name] = _parse_number(name, value) if name in _NUMBERS else value
    return parsed


def _parse_number(name: str, value: str) -> float:
    parse, low, high, kind = _NUMBERS[name]
    try:
        number = parse(value)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise HttpError(400, f"{name} is not {kind}", where=f"query, {name}", fix=f"send {kind}, or leave it out")
    return number


def check_options(engine: Engine, options: Mapping[str, Any]) -> None:
    """Raise HttpError 400 if ``options`` do not fit the model."""
    if engine.anchors is not None and options:
        raise HttpError(400, "the model predicts scores", where=(name := next(iter(options))), fix=f"leave {name} out")
    if "threshold" in options and engine.thresholds is None:
        raise HttpError(400, "the model is single-label", where="threshold", fix="leave the threshold out")
    labels = options.get("label", [])
    if len(labels) > 1 and engine.thresholds is None:
        raise HttpError(400, "the model is single-label", where="label", fix="send one label")
    if unknown := [label for label in labels if label not in engine.labels]:
        shown = ", ".join(engine.labels[:10]) + (", ..." if len(engine.labels) > 10 else "")
        raise HttpError(
            400, f"the model has no label {unknown[0][:40]!r}", where="label", fix=f"its labels are {shown}"
        )
