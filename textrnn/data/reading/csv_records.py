"""Records of a table with quotes, which may span lines."""

from __future__ import annotations

import csv
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count

from textrnn.data.reading.fields import FaultError, RawRecord
from textrnn.data.reading.io import BYTE_ORDER_MARK, decode
from textrnn.data.reading.layout import describe_csv_error

_NUL, _NUL_SUBSTITUTE = "\0", "\ud800"  # csv of Python 3.10 rejects NUL; no decoded text has a surrogate

Line = tuple[int, bytes, str]
"""A line's number, bytes and text."""


def read_csv(chunks: Iterator[tuple[Sequence[bytes], int]], delimiter: str) -> Iterator[RawRecord | None]:
    """Yield the records of ``chunks``, lists of lines with the number of the first; None before a wait for a chunk.

    After a fault, reading resumes in the second line of the record: a quote that is never closed costs one line.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    pending: deque[Line] = deque()
    taken: list[Line] = []  # lines of the current record

    def feed() -> Iterator[str]:
        while True:
            while pending:
                taken.append(pending.popleft())
                yield taken[-1][2]
            if (chunk := next(chunks, None)) is None:
                return
            pending.extend(_number_lines(*chunk))

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
        yield taken[0][0], b"\n".join([raw for _, raw, _ in taken]), record
        if not pending:
            yield None


def _number_lines(lines: Sequence[bytes], number: int) -> Iterator[Line]:
    """Return the lines without a byte-order mark; their text ends in a newline."""
    raw = [line.removeprefix(BYTE_ORDER_MARK) for line in lines]
    texts = decode(b"\n".join(raw)).replace(_NUL, _NUL_SUBSTITUTE).split("\n")
    return zip(count(number), raw, [f"{text}\n" for text in texts], strict=False)
