"""The binary format of word2vec: two counts in a line, then each word, a space and its numbers in float32."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from textrnn.data.reading.decompression import DAMAGED, decompress
from textrnn.data.vectors.word_block import WordBlock, clean_words
from textrnn.errors import DataError

_COUNTS = re.compile(rb"([1-9]\d{0,14}) ([1-9]\d{0,14})\n")
_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f]")
_MAX_WORD_BYTES = 1 << 16
_BLOCK_WORDS = 4096
_READ_BYTES = 1 << 20


def is_word2vec(head: bytes) -> bool:
    """Return whether a file that starts with ``head`` has the binary format: what follows its first word is no text."""
    counts = _COUNTS.match(head)
    if counts is None:
        return False
    start = head.find(b" ", counts.end()) + 1
    numbers = head[start : start + 4 * int(counts[2])]
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(numbers)
    except UnicodeDecodeError:
        return start > 0
    return start > 0 and _CONTROL.search(text) is not None


def read_binary(path: str) -> Iterator[WordBlock]:
    """Yield the words of a binary file, perhaps compressed; raises DataError if it is truncated."""
    with Path(path).open("rb") as raw:
        content = decompress(raw)
        counts = _COUNTS.match(content.readline())
        assert counts is not None  # is_word2vec has found it
        expected, width = map(int, counts.groups())
        entries, number = _split(content, expected, 4 * width), 0
        try:
            while block := [*islice(entries, _BLOCK_WORDS)]:
                words = clean_words([word for word, _ in block])
                yield WordBlock(words, path, number + 1, width, _Float32Rows([numbers for _, numbers in block]))
                number += len(block)
        except (*DAMAGED, OSError):
            reason = f"truncated or damaged: its first line announces {expected:,} words of {width} numbers"
            raise DataError(path, None, f"{reason}, which the rest does not hold; download it again") from None


class _Float32Rows:
    """Vectors as the bytes of their numbers, little-endian."""

    def __init__(self, rows: list[bytes]) -> None:
        self._rows = rows

    def __getitem__(self, row: int, /) -> npt.NDArray[np.float32]:
        return np.frombuffer(self._rows[row], "<f4")


def _split(content: BinaryIO, count: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield ``count`` words and the ``size`` bytes of their numbers; raises EOFError if there are fewer or more."""
    data, start = b"", 0
    for _ in range(count):
        while (end := data.find(b" ", start)) < 0 or len(data) < end + 1 + size:
            more = content.read(_READ_BYTES)
            if not more or (end < 0 and len(data) - start > _MAX_WORD_BYTES):
                raise EOFError
            data, start = data[start:] + more, 0
        numbers = end + 1
        yield data[start:end].lstrip(b"\n"), data[numbers : numbers + size]  # some writers end a vector with a line
        start = numbers + size
    if (data[start:] + content.read(_READ_BYTES)).strip():
        raise EOFError  # the counts are wrong, and so were the words
