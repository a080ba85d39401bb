"""Raw lines of files and standard input, compressed or not."""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from textrnn.errors import DataError

STDIN = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_BLOCK_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 20
_ZSTD_BYTES = 1 << 14  # of compressed data per read: it may grow a thousandfold
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class _UnsupportedError(Exception):
    """An unsupported kind of compressed data."""


def check_readable(path: str) -> None:
    """Check that ``path`` names a file that can be opened, or standard input; nothing is read from a pipe.

    Raises:
        DataError: the file does not exist, is a folder, or cannot be read.
    """
    if path == STDIN:
        if sys.stdin is None:
            raise DataError(path, None, "is closed; name a file")
        return
    file = Path(path)
    try:
        if file.is_dir():
            raise DataError(path, None, "is a folder; name a file")
        if not file.exists():
            raise DataError(path, None, "no such file")
        if file.is_file():
            file.open("rb").close()
    except (OSError, ValueError) as error:
        raise DataError(path, None, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def is_pipe(path: str) -> bool:
    """Return True for standard input and other paths that can be read only once."""
    return path == STDIN or (Path(path).exists() and not Path(path).is_file())


@contextmanager
def open_raw(path: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open ``path`` (``-``: standard input); yield the raw file, whose position shows the progress, and its content.

    gzip, xz and zstd are detected by their first bytes.

    Raises:
        DataError: the file cannot be opened, or its compressed data is damaged.
    """
    check_readable(path)
    # a buffer of its own for standard input: a thread blocked in sys.stdin's buffer would block the exit of the process
    raw = open(sys.stdin.fileno(), "rb", closefd=False) if path == STDIN else Path(path).open("rb")  # noqa: SIM115
    try:
        yield raw, _decompress(raw)
    except _UnsupportedError as error:
        raise DataError(path, None, str(error)) from None
    except _DAMAGED as error:
        raise DataError(path, None, f"compressed data is damaged or truncated ({error}); copy it again") from None
    finally:
        raw.close()


def read_file(path: str) -> Iterator[bytes]:
    """Yield the content of ``path`` in the chunks of :func:`read_chunks`."""
    with open_raw(path) as (_, file):
        yield from read_chunks(file.read)


def read_blocks(
    path: str, *, keep_returns: bool = False, watch: Callable[[int], None] | None = None
) -> Iterator[list[bytes]]:
    """Yield the lines of ``path`` in blocks of all lines that are available, without waiting for more than one.

    Only ``\\n`` ends a line. It is removed, as are a ``\\r`` before it (unless ``keep_returns``) and a byte-order mark
    at the start. The last line may lack its ``\\n``. ``watch`` is called before each block and at the end with the
    position in the raw file (of compressed data, if it is compressed), which must be seekable.
    """
    with open_raw(path) as (raw, file):
        for chunk in read_chunks(file.read1, _BLOCK_BYTES):  # type: ignore[attr-defined]
            if watch is not None:
                watch(raw.tell())
            yield chunk.split(b"\n") if keep_returns else split_lines(chunk)
        if watch is not None:
            watch(raw.tell())


def split_lines(chunk: bytes) -> list[bytes]:
    """Return the lines of ``chunk`` without ``\\n``, and without a ``\\r`` before it."""
    lines = chunk.split(b"\n")
    return [line[:-1] if line.endswith(b"\r") else line for line in lines] if b"\r" in chunk else lines


def read_chunks(read: Callable[[int], bytes], size: int = 0, *, keep_mark: bool = False) -> Iterator[bytes]:
    """Yield the data that ``read`` returns in chunks of about ``size`` bytes (0: 1 MiB), cut at line ends.

    The ``\\n`` between two chunks and (unless ``keep_mark``) a byte-order mark at the start are removed; ``\\r`` stays.
    """
    parts: list[bytes] = []  # of an incomplete line
    mark = b"" if keep_mark else BYTE_ORDER_MARK
    while data := read(size or _CHUNK_BYTES):
        end = data.rfind(b"\n")
        if end < 0:
            parts.append(data)
            continue
        yield b"".join([*parts, data[:end]]).removeprefix(mark)
        parts, mark = [data[end + 1 :]], b""
    if last := b"".join(parts).removeprefix(mark):
        yield last


def read_lines(path: str) -> Iterator[bytes]:
    """Yield the lines of :func:`read_blocks` one at a time."""
    return chain.from_iterable(read_blocks(path))


def decode(line: bytes) -> str:
    """Return ``line`` as text; bytes that are not UTF-8 become U+FFFD."""
    return line.decode("utf-8", errors="replace")


def file_changed(path: str) -> DataError:
    """Return the error for a file that changed between two reads."""
    return DataError(path, None, "changed while it was read; run again when it is complete")


def _decompress(raw: BufferedReader) -> BinaryIO:
    head = b""
    while any(len(head) < len(magic) and magic.startswith(head) for magic in _OPENERS):
        byte = raw.read(1)
        if not byte:
            break
        head += byte
    stream = cast("BinaryIO", BufferedReader(_Ahead(head, raw), _BLOCK_BYTES))
    return next((opener(stream) for magic, opener in _OPENERS.items() if head == magic), stream)


class _Ahead(RawIOBase):
    """The bytes ``head``, already read from ``raw``, and the rest of ``raw``; a read returns what is available."""

    def __init__(self, head: bytes, raw: BufferedReader) -> None:
        self._head, self._raw = head, raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._head[: len(buffer)] or self._raw.read1(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _ZstdReader(RawIOBase):
    """The content of zstd frames; unlike zstandard's own reader, it reports data that ends inside a frame."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._content, self._rest = raw, b"", b""
        self._frame = zstandard.ZstdDecompressor().decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._content:
            data = self._rest or self._raw.read1(_ZSTD_BYTES)  # type: ignore[attr-defined]
            if not data:
                if not self._frame.eof:
                    raise EOFError("the data ends inside a frame")
                return 0
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._content = self._frame.decompress(data)
            self._rest = self._frame.unused_data
        count = min(len(buffer), len(self._content))
        buffer[:count], self._content = self._content[:count], self._content[count:]
        return count


def _refuse(kind: str) -> BinaryIO:
    raise _UnsupportedError(f"{kind} is not supported; unpack the file first, or use gzip, xz or zstd")


# a data frame, and the sixteen kinds of skippable frames (RFC 8878, section 3.1)
_ZSTD_MAGICS = [b"\x28\xb5\x2f\xfd", *(bytes([0x50 + kind]) + b"\x2a\x4d\x18" for kind in range(16))]

_OPENERS: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": lambda raw: cast("BinaryIO", gzip.GzipFile(fileobj=raw)),
    b"\xfd7zXZ\x00": lambda raw: cast("BinaryIO", lzma.LZMAFile(raw)),  # noqa: SIM115 - the caller closes raw
    b"BZh91AY&SY": lambda raw: _refuse("bzip2"),
    b"PK\x03\x04": lambda raw: _refuse("zip"),
    **dict.fromkeys(_ZSTD_MAGICS, lambda raw: cast("BinaryIO", BufferedReader(_ZstdReader(raw), _BLOCK_BYTES))),
}
