"""Answers to a stream of JSON lines, line by line while the request still arrives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from textrnn.server.http_error import HttpError
from textrnn.server.request_body import (
    NDJSON,
    PREDICT_OPTIONS,
    BodyBudget,
    Hold,
    check_text,
    make_size_error,
    parse_json,
)
from textrnn.server.settings import Settings

Predict = Callable[[list[str]], Awaitable[list[dict[str, object]]]]
_FIX = 'send {"text": "a text"} on each line'
_AGAIN = "send this line and all later ones again"


class NdjsonResponse(Response):
    """Answers each line of the request with a line, in order: the row of ``predict``, or an error.

    A bad line does not end the stream. A line that is too long does, and so do an idle client and a ``draining``
    server after the answers to all complete lines.
    """

    def __init__(self, settings: Settings, predict: Predict, *, draining: asyncio.Event, budget: BodyBudget) -> None:
        super().__init__(media_type=NDJSON)
        self._settings, self._predict, self._draining = settings, predict, draining
        self._budget = budget
        self._line = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        headers = [(b"content-type", NDJSON.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            with self._budget.share() as hold:
                async for lines in self._read_lines(receive, hold):
                    for start in range(0, len(lines), self._settings.max_batch):
                        answers = await self._answer(lines[start : start + self._settings.max_batch])
                        await _send_rows(send, answers)
        except HttpError as fault:
            await _send_rows(send, [fault.at(self._line + 1)])
        await send({"type": "http.response.body", "body": b""})

    async def _read_lines(self, receive: Receive, hold: Hold) -> AsyncIterator[list[bytes]]:
        """Yield the complete lines of each message; raises the HttpError that ends the stream."""
        rest, limit, more = bytearray(), self._settings.max_body, True
        while more:
            message = await self._receive(receive)
            if message["type"] == "http.disconnect":
                return
            part, more = message.get("body", b""), message.get("more_body", False)
            hold(len(rest) + len(part))
            end, *later = part.split(b"\n")
            rest += end
            lines = []
            if later:
                lines = [bytes(rest), *later[:-1]]
                rest = bytearray(later[-1])
            if rest and not more:
                lines.append(bytes(rest))
            too_long = next((at for at, line in enumerate([*lines, rest]) if len(line) > limit), None)
            yield lines[:too_long]
            if too_long is not None:
                raise make_size_error(limit)
            hold(len(rest))

    async def _receive(self, receive: Receive) -> Message:
        """Return the next message; raises HttpError if the server stops before it comes, or it does not come."""
        message, stop = asyncio.ensure_future(receive()), asyncio.ensure_future(self._draining.wait())
        seconds = self._settings.stream_timeout
        try:
            await asyncio.wait((message, stop), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if message.done():
                return message.result()
        finally:
            message.cancel()
            stop.cancel()
        if self._draining.is_set():
            raise HttpError(503, "the server stops", where="stream", fix=_AGAIN)
        raise HttpError(408, f"nothing came for {seconds:g} s (--stream-timeout)", where="stream", fix=_AGAIN)

    async def _answer(self, lines: Sequence[bytes]) -> list[dict[str, object]]:
        answers: list[dict[str, object] | None] = []
        texts: list[str] = []
        for number, line in enumerate(lines, start=self._line + 1):
            try:
                texts.append(_parse_line(line))
                answers.append(None)
            except HttpError as fault:
                answers.append(fault.at(number))
        first, self._line = self._line + 1, self._line + len(lines)
        try:
            rows = iter(await self._predict(texts) if texts else ())
        except HttpError as fault:
            return [fault.at(number) if row is None else row for number, row in enumerate(answers, start=first)]
        return [next(rows) if row is None else row for row in answers]


def _parse_line(line: bytes) -> str:
    content = parse_json(line, fix=_FIX)
    if not isinstance(content, dict) or "text" not in content:
        raise HttpError(400, "not an object with the key text", where="text", fix=_FIX)
    if wrong := [name for name in PREDICT_OPTIONS if name in content]:
        raise HttpError(400, f"{wrong[0]} in a line", where=wrong[0], fix=f"put it into the query: ?{wrong[0]}=")
    return check_text(content["text"], "text")


async def _send_rows(send: Send, rows: Sequence[dict[str, object]]) -> None:
    body = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
    await send({"type": "http.response.body", "body": body, "more_body": True})
