"""Records of JSON whose objects span lines, or are in an array."""

from __future__ import annotations

from collections.abc import Iterator

from textrnn.data.reading.fields import JSON, FaultError, RawRecord
from textrnn.data.reading.io import decode
from textrnn.errors import DataError, shorten

_BETWEEN = " \t\r\n,[]"


def read_json(path: str, lines: Iterator[bytes], start: int) -> Iterator[RawRecord]:
    """Yield the objects in ``lines``, of which the first is line ``start`` of the file; it is read as a whole.

    Raises:
        DataError: the JSON is broken, or cut.
    """
    text = b"\n".join(lines).decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    number, at, end = start, 0, 0
    while (end := _skip(text, end)) < len(text):
        number, at = number + text.count("\n", at, end), end
        try:
            record, end = JSON.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or "nested too deeply"
            line = getattr(error, "lineno", 1) + start - 1
            raise DataError(path, line, f"not JSON: {reason}; the rest cannot be read") from None
        raw = text[at:end].replace("\r", "").replace("\n", " ").encode("utf-8", "surrogateescape")
        shown = decode(raw)
        if "\ufffd" in shown:  # some of its bytes may be invalid
            record = JSON.decode(shown)
        if not isinstance(record, dict):
            record = FaultError(f"not a JSON object: {shorten(shown)}", kind="not a JSON object")
        yield number, raw, record
    if text.lstrip().startswith("[") and not text.rstrip().endswith("]"):
        raise DataError(path, None, "ends inside a JSON array; the file is cut, copy it again")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at
