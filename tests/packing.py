"""Compression of all kinds."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

import zstandard


def compress_zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": compress_zst,
}
