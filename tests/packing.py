"""Files for tests of reading: compressed in all ways, and their lines."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import zstandard

from textrnn.data.reading.io import read_blocks


def compress_zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": compress_zst,
}


def read_lines(path: str, **options: str) -> Iterator[bytes]:
    """Yield the lines of a file one at a time."""
    return chain.from_iterable(read_blocks(path, **options))  # type: ignore[arg-type]


def write(folder: Path, content: bytes, name: str = "text") -> str:
    """Write a file, and return its path as the readers take it."""
    path = folder / name
    path.write_bytes(content)
    return str(path)
