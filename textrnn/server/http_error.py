"""Errors as answers: a status, and what happened, where, and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

RETRY = {"Retry-After": "1"}
"""The header of errors that end by themselves."""
_REPORT = "see the log of the server, and report it"


class JsonResponse(JSONResponse):
    """JSON as ``textrnn predict`` prints it, with a line end."""

    def render(self, content: Any) -> bytes:
        """Return ``content`` as a line of JSON in UTF-8."""
        return json.dumps(content, ensure_ascii=False).encode() + b"\n"


class HttpError(Exception):
    """A request that is answered with an error of ``status``: what happened, where, and how to fix it."""

    def __init__(
        self, status: int, what: str, *, where: str, fix: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(what)
        self.status, self.headers = status, dict(headers or {})
        self.content = {"error": {"what": what, "where": where, "fix": fix}}

    def at(self, line: int) -> dict[str, object]:
        """Return the error as an answer to ``line`` of a stream."""
        where = f"line {line}, {self.content['error']['where'].removeprefix('line 1, ')}"
        return {"error": {**self.content["error"], "where": where}}

    def to_response(self) -> JsonResponse:
        """Return the answer."""
        return JsonResponse(self.content, self.status, headers=self.headers)


def answer_error(request: Request, error: Exception) -> JsonResponse:
    """Return the answer for a :class:`HttpError`, an error of routing, or an error of the server itself."""
    if isinstance(error, HttpError):
        return error.to_response()
    where = f"{request.method} {request.url.path}"
    if not isinstance(error, HTTPException):  # uvicorn logs it
        return HttpError(500, "internal error", where=where, fix=_REPORT).to_response()
    headers = dict(error.headers or {})
    fixes = {404: "POST to /predict or /explain; GET /openapi.json lists all paths", 405: f"use {headers.get('Allow')}"}
    what = {404: "no such path", 405: "the path does not support this method"}.get(error.status_code, error.detail)
    fix = fixes.get(error.status_code, "see /openapi.json")
    return HttpError(error.status_code, what, where=where, fix=fix, headers=headers).to_response()
