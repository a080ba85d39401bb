"""Compressed files: gzip, bzip2, xz and zstd, detected by their first bytes."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from io import BufferedReader, RawIOBase
from typing import BinaryIO, cast

DAMAGED = (EOFError, zlib.error, lzma.LZMAError)
"""What the content of a damaged file raises when it is read, besides OSError without a number."""

_BLOCK_BYTES = 1 << 18
_ZSTD_BYTES = 1 << 14  # of compressed data per read: it may grow a thousandfold


def decompress(raw: BufferedReader) -> BinaryIO:
    """Return the content of ``raw``; data in no known compression is returned unchanged."""
    head = raw.peek(1)
    if not any(len(head) < len(magic) and magic.startswith(head) for magic in _OPENERS):
        return next((opener(raw) for magic, opener in _OPENERS.items() if head.startswith(magic)), raw)
    head = b""  # a pipe has delivered a part of what could be a magic number
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
        import zstandard  # noqa: PLC0415 - other files do not need it

        self._raw, self._content, self._rest = raw, b"", b""
        self._decompressor, self._error = zstandard.ZstdDecompressor(), zstandard.ZstdError
        self._frame = self._decompressor.decompressobj()

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
                self._frame = self._decompressor.decompressobj()
            try:
                self._content = self._frame.decompress(data)
            except self._error as error:
                raise OSError(str(error)) from None
            self._rest = self._frame.unused_data
        count = min(len(buffer), len(self._content))
        buffer[:count], self._content = self._content[:count], self._content[count:]
        return count


def _open_gzip(raw: BinaryIO) -> BinaryIO:
    import gzip  # noqa: PLC0415 - other files do not need it

    return cast("BinaryIO", gzip.GzipFile(fileobj=raw))


# a data frame, and the sixteen kinds of skippable frames (RFC 8878, section 3.1)
_ZSTD_MAGICS = [b"\x28\xb5\x2f\xfd", *(bytes([0x50 + kind]) + b"\x2a\x4d\x18" for kind in range(16))]

_BZIP2_MAGICS = [
    b"BZh%d" % level + start for level in range(1, 10) for start in (b"1AY&SY", b"\x17rE8P\x90")
]  # or empty

_OPENERS: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": _open_gzip,
    b"\xfd7zXZ\x00": lambda raw: cast("BinaryIO", lzma.LZMAFile(raw)),  # noqa: SIM115 - the caller closes raw
    **dict.fromkeys(_BZIP2_MAGICS, lambda raw: cast("BinaryIO", bz2.BZ2File(raw))),
    **dict.fromkeys(_ZSTD_MAGICS, lambda raw: cast("BinaryIO", BufferedReader(_ZstdReader(raw), _BLOCK_BYTES))),
}
