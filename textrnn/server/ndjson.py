"""Answers to a stream of JSON lines, line by line while the request still arrives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from textrnn.server.http_error import HttpError
from textrnn.server.request_body import NDJSON, PREDICT_OPTIONS, check_text, make_size_error, parse_json
from textrnn.server.settings import Settings

Predict = Callable[[list[str]], Awaitable[list[dict[str, object]]]]
_FIX = 'send {"text": "a text"} on each line'


class LineStream(Response):
    """Answers each line of the request with a line, in order: the row of ``predict``, or an error.

    A bad line does not end the stream. A line that is too long does, and so does a ``draining`` server after its
    answers to all complete lines.
    """

    def __init__(self, settings: Settings, predict: Predict, *, draining: asyncio.Event) -> None:
        super().__init__(media_type=NDJSON)
        self._settings, self._predict, self._draining = settings, predict, draining
        self._line = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        headers = [(b"content-type", NDJSON.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for lines, fault in self._read_lines(receive):
            for start in range(0, len(lines), self._settings.max_batch):
                answers = await self._answer(lines[start : start + self._settings.max_batch])
                await _send_rows(send, answers)
            if fault is not None:
                await _send_rows(send, [fault.at(self._line + 1)])
        await send({"type": "http.response.body", "body": b""})

    async def _read_lines(self, receive: Receive) -> AsyncIterator[tuple[list[bytes], HttpError | None]]:
        """Yield the complete lines of each message, and the error that ends the stream, if any."""
        rest, limit, more = b"", self._settings.max_body, True
        while more:
            message = await self._receive(receive)
            if message is None:
                yield (
                    [],
                    HttpError(503, "the server stops", where="stream", fix="send this line and all later ones again"),
                )
                return
            if message["type"] == "http.disconnect":
                return
            *lines, rest = (rest + message.get("body", b"")).split(b"\n")
            more = message.get("more_body", False)
            if rest and not more:
                lines.append(rest)
            too_long = next((at for at, line in enumerate([*lines, rest]) if len(line) > limit), None)
            if too_long is not None:
                yield lines[:too_long], make_size_error(limit)
                return
            yield lines, None

    async def _receive(self, receive: Receive) -> Message | None:
        """Return the next message of the request, or None if the server stops before it comes."""
        message, stop = asyncio.ensure_future(receive()), asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait((message, stop), return_when=asyncio.FIRST_COMPLETED)
            return message.result() if message.done() else None
        finally:
            message.cancel()
            stop.cancel()

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
