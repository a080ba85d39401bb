"""Words of a file with their vectors, and vectors for words that a file lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from textrnn.errors import DataError

Vectors = npt.NDArray[np.float32]

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class Rows(Protocol):
    """The numbers of words: a list of their text, an array (B, D), or rows that are computed on demand."""

    def __getitem__(self, row: int, /) -> Any:
        """Return the numbers of a word, as text or as an array (D,)."""


class Composer(Protocol):
    """Composes vectors for words that the file lacks, from its subword vectors."""

    def compose(self, text: str, *, is_word: bool) -> Vectors | None:
        """Return a vector (D,) of a word, or of a part of one; None if the file has no part of it."""


@dataclass(frozen=True)
class WordBlock:
    """Consecutive words of a file; their numbers are parsed on demand.

    Args:
        words: B words in UTF-8.
        source: the file, for error messages.
        first: the line of the first word, or its row in an array (from 1).
        width: the numbers per word (D).
        numbers: the numbers of each word.
    """

    words: list[bytes]
    source: str
    first: int
    width: int
    numbers: Rows = field(repr=False)

    def take(self, rows: Sequence[int]) -> Vectors:
        """Return the vectors (R, D) float32 of the words with the indices ``rows``.

        Raises:
            DataError: a value is not a finite number; with its line.
        """
        try:
            with np.errstate(over="ignore"):
                vectors = np.array([self._parse(row) for row in rows], np.float32).reshape(-1, self.width)
            if np.isfinite(vectors).all():
                return vectors
        except ValueError:
            pass
        raise self._find_fault(rows)

    def _parse(self, row: int) -> Any:
        numbers = self.numbers[row]
        return list(map(float, numbers.split(b" "))) if isinstance(numbers, bytes) else numbers

    def _find_fault(self, rows: Sequence[int]) -> DataError:
        for row in rows:
            numbers = self.numbers[row]
            values = numbers.split(b" ") if isinstance(numbers, bytes) else numbers.tolist()
            for value in values:
                name = repr(value.decode(errors="replace")) if isinstance(value, bytes) else value
                if not is_number(value):
                    return DataError(self.source, self.first + row, f"{name} is not a number; fix or remove the line")
                if not abs(float(value)) <= _FLOAT32_MAX:
                    reason = f"{name} is not a finite 32-bit number; fix or remove the line"
                    return DataError(self.source, self.first + row, reason)
        raise AssertionError  # the caller has found a fault


def clean_words(words: list[bytes]) -> list[bytes]:
    """Return ``words``, empty where they are not UTF-8: no piece of a tokenizer is such a word."""
    return [word if word.isascii() or _is_utf8(word) else b"" for word in words]


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_number(text: bytes | float) -> bool:
    """Return whether ``text`` is a number, as Python writes it."""
    try:
        float(text)
    except ValueError:
        return False
    return True
