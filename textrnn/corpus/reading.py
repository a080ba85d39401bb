"""Reading lines from files and standard input, compressed or not, exactly as they stand."""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from textrnn.errors import DataError

STDIN = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_BLOCK_BYTES = 1 << 18
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError)


def check_readable(path: str) -> None:
    """Check that ``path`` names a file that can be opened, or standard input.

    Raises:
        DataError: there is no such file, it is a folder, or it may not be read.
    """
    if path == STDIN:
        return
    if Path(path).is_dir():
        raise DataError(path, None, "a folder; name a file")
    try:
        Path(path).open("rb").close()
    except FileNotFoundError:
        raise DataError(path, None, "no such file") from None
    except OSError as error:
        raise DataError(path, None, f"cannot be read ({error.strerror})") from None


@contextmanager
def open_bytes(path: str) -> Iterator[BinaryIO]:
    """Open ``path`` (``-``: standard input) for reading bytes; gzip, xz and zstd are told by their first bytes.

    Raises:
        DataError: the file cannot be opened, or its compressed data is damaged.
    """
    check_readable(path)
    raw = sys.stdin.buffer if path == STDIN else Path(path).open("rb")  # noqa: SIM115 - closed below
    try:
        yield _decompress(cast("BinaryIO", raw))
    except _DAMAGED as error:
        raise DataError(path, None, f"the compressed data is damaged or cut short ({error})") from None
    finally:
        if path != STDIN:
            raw.close()


def read_blocks(path: str) -> Iterator[list[bytes]]:
    """Yield the lines of ``path`` in blocks: each holds the lines that were there to read, at once.

    A line ends at ``\\n`` only; ``\\n``, a ``\\r`` before it and a byte-order mark at the start are taken off. A last
    line without an end counts; nothing after the last end does not. A block waits for its first whole line only.
    """
    with open_bytes(path) as file:
        parts: list[bytes] = []  # of a line whose end has not come yet
        start = True
        while data := file.read1(_BLOCK_BYTES):  # type: ignore[attr-defined]
            head, *rest = data.split(b"\n")
            parts.append(head)
            if not rest:
                continue
            lines = [b"".join(parts), *rest]
            parts = [lines.pop()]
            yield _clean(lines, start)
            start = False
        if last := b"".join(parts):
            yield _clean([last], start)


def read_lines(path: str) -> Iterator[bytes]:
    """Yield the lines of ``path``, as :func:`read_blocks` does, one at a time."""
    for block in read_blocks(path):
        yield from block


def decode(line: bytes) -> str:
    """Return ``line`` as text; bytes that are not UTF-8 become U+FFFD."""
    return line.decode("utf-8", errors="replace")


def _clean(lines: list[bytes], start: bool) -> list[bytes]:
    if start:
        lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
    return [line[:-1] if line.endswith(b"\r") else line for line in lines]


def _decompress(raw: BinaryIO) -> BinaryIO:
    head = raw.peek(6)  # type: ignore[attr-defined]
    if head.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw))
    if head.startswith(b"\xfd7zXZ\x00"):
        return cast("BinaryIO", lzma.LZMAFile(raw))
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return cast("BinaryIO", zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
    return raw
