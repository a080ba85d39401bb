"""Records that may span lines: of a table with quotes, and of JSON in an array or with indentation."""

from __future__ import annotations

import csv
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count

from textrnn.data.reading.io import BYTE_ORDER_MARK, decode
from textrnn.data.reading.layout import describe_csv_error
from textrnn.data.reading.records.fields import JSON, RawRecord
from textrnn.data.reading.records.selection import FaultError
from textrnn.errors import DataError, shorten

_BETWEEN = " \t\r\n,[]"
_MARK = "\ufeff"
_NUL, _NUL_SUBSTITUTE = "\0", "\ud800"  # csv of Python 3.10 rejects NUL; no decoded text has a surrogate

Line = tuple[int, bytes, str, bool]
"""A line's number, bytes and text with a newline, and whether it is the last one of its chunk."""


def read_csv(chunks: Iterator[tuple[Sequence[bytes], int]], delimiter: str) -> Iterator[RawRecord | None]:
    """Yield the records of ``chunks``, lists of lines with the number of the first; None before a wait for a chunk.

    After a fault, reading resumes in the second line of the record: a quote that is never closed costs one line.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    lines = _list_lines(chunks)
    pending: deque[Line] = deque()  # lines to read again
    taken: list[Line] = []  # lines of the current record

    def feed() -> Iterator[str]:
        while (line := pending.popleft() if pending else next(lines, None)) is not None:
            taken.append(line)
            yield line[2]

    rows = csv.reader(feed(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        record: list[str] | FaultError
        try:
            record = next(rows) or [""]
            if _NUL_SUBSTITUTE in "".join(record):
                record = [field.replace(_NUL_SUBSTITUTE, _NUL) for field in record]
        except StopIteration:
            return
        except csv.Error as error:
            where = f" (the row ends in line {taken[-1][0]})" if len(taken) > 1 else ""
            record = FaultError(describe_csv_error(error, where), kind="not CSV")
            pending.extendleft(reversed(taken[1:]))
            del taken[1:]
            rows = csv.reader(feed(), delimiter=delimiter, strict=True)
        number, raw, _, _ = taken[0]
        yield number, raw if len(taken) == 1 else b"\n".join([line[1] for line in taken]), record
        if taken[-1][3]:
            yield None


def _list_lines(chunks: Iterator[tuple[Sequence[bytes], int]]) -> Iterator[Line]:
    for lines, number in chunks:
        texts = decode(b"\n".join(lines)).replace(_NUL, _NUL_SUBSTITUTE).split("\n")
        last = number + len(lines) - 1
        for at, raw, text in zip(count(number), lines, texts, strict=False):
            yield at, raw.removeprefix(BYTE_ORDER_MARK), f"{text.removeprefix(_MARK)}\n", at == last


def read_json(path: str, lines: Iterator[bytes], start: int) -> Iterator[RawRecord]:
    """Yield the objects in ``lines``, of which the first is line ``start`` of the file; it is read as a whole.

    Raises:
        DataError: the JSON is broken, or cut.
    """
    text = b"\n".join(lines).decode("utf-8", "surrogateescape").removeprefix(_MARK)
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
