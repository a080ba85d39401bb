"""The binary model of fastText (``.bin``): vectors of words and of the character n-grams in them.

Bojanowski, Grave, Joulin, Mikolov, "Enriching Word Vectors with Subword Information", TACL 2017. The vector of a word
is the mean of its own, if it is in the dictionary, and those of its n-grams, which share a table of hash buckets.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from textrnn.data.vectors.word_block import Vectors, WordBlock, clean_words
from textrnn.errors import DataError

_MAGIC = struct.pack("<i", 793712314)
_HEADER = struct.Struct("<12id")  # the options, among them dim, bucket, minn, maxn
_COUNTS = struct.Struct("<3i2q")  # entries, words, labels, tokens, pruned buckets
_ENTRY = struct.Struct("<qb")  # count and kind, after the word and a NUL
_MATRIX = struct.Struct("<2q")
_VERSIONS = (11, 12)
_SUPERVISED = 3
_WORD = 0
_END = b"</s>"


def is_fasttext(head: bytes) -> bool:
    """Return whether a file that starts with ``head`` is a binary model of fastText."""
    return head.startswith(_MAGIC)


class FastTextVectors:
    """The vectors of a model of fastText, read from the mapped file on demand.

    Raises:
        DataError: the file is compressed, quantized, truncated, or of another version of the format.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with Path(path).open("rb") as file:
            if file.read(4) != _MAGIC:
                raise DataError(path, None, "a compressed model of fastText; unpack it first")
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self._read()
        except (struct.error, ValueError, IndexError):
            raise DataError(path, None, "a model of fastText, but truncated or damaged; copy it again") from None

    def _read(self) -> None:
        (version,) = struct.unpack_from("<i", self._content, 4)
        if version not in _VERSIONS:
            raise DataError(self._path, None, f"a model of fastText in version {version}; 11 and 12 are readable")
        *options, _ = _HEADER.unpack_from(self._content, 8)
        self._width, kind, self._buckets, self._minn, self._maxn = (options[i] for i in (0, 7, 8, 9, 10))
        if version == 11 and kind == _SUPERVISED:
            self._maxn = 0
        start = self._read_dictionary(8 + _HEADER.size)
        if self._content[start]:
            reason = "a quantized model of fastText (.ftz) has no readable vectors; name its .bin"
            raise DataError(self._path, None, reason)
        rows, width = _MATRIX.unpack_from(self._content, start + 1)
        if width != self._width or rows < len(self._words) + (self._buckets if self._maxn else 0):
            raise ValueError("the matrix has another shape")
        offset = start + 1 + _MATRIX.size
        self._matrix: Vectors = np.frombuffer(self._content, "<f4", rows * width, offset).reshape(rows, width)

    def _read_dictionary(self, start: int) -> int:
        """Read the words, and return where the matrix starts."""
        entries, words, _, _, pruned = _COUNTS.unpack_from(self._content, start)
        start += _COUNTS.size
        found: list[bytes] = []
        for _ in range(entries):
            end = self._content.find(b"\0", start)
            if end < 0:
                raise ValueError("the dictionary has no end")
            _, kind = _ENTRY.unpack_from(self._content, end + 1)
            if kind == _WORD:
                found.append(self._content[start:end])
            start = end + 1 + _ENTRY.size
        if len(found) != words:
            raise ValueError("the dictionary has another number of words")
        self._words = found
        return start + 8 * max(0, int(pruned))

    def read_words(self) -> Iterator[WordBlock]:
        """Yield all words, the most frequent first."""
        yield WordBlock(clean_words(self._words), self._path, 1, self._width, self)

    def __getitem__(self, row: int, /) -> Vectors:
        """Return the vector (D,) of the word with the index ``row``."""
        rows = [row, *self._find_ngrams(self._words[row])]
        vector: Vectors = self._matrix[rows].mean(axis=0)
        return vector

    def compose(self, text: str, *, is_word: bool) -> Vectors | None:
        """Return the vector (D,) of a word that the dictionary lacks; None for parts of words, or without n-grams."""
        rows = self._find_ngrams(text.encode()) if is_word else []
        vector: Vectors | None = self._matrix[rows].mean(axis=0) if rows else None
        return vector if vector is not None and vector.any() else None  # the trainer leaves buckets at 0

    def _find_ngrams(self, word: bytes) -> list[int]:
        """Return the rows of the character n-grams of ``word`` between its marks ``<`` and ``>``."""
        if word == _END or not self._maxn or not self._buckets:
            return []
        marked = b"<" + word + b">"
        starts = [place for place, byte in enumerate(marked) if byte & 0xC0 != 0x80]  # of characters in UTF-8
        bounds = [*starts, len(marked)]
        return [
            len(self._words) + _hash(marked[bounds[first] : bounds[first + n]]) % self._buckets
            for first in range(len(starts))
            for n in range(max(1, self._minn), min(self._maxn, len(starts) - first) + 1)
            if n > 1 or 0 < first < len(starts) - 1
        ]


def _hash(text: bytes) -> int:
    """Return the 32-bit FNV-1a hash of ``text`` as fastText computes it: bytes from 128 on are negative."""
    value = 2166136261
    for byte in text:
        value = (value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619 & 0xFFFFFFFF
    return value
