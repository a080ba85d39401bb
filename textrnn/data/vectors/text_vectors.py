"""Word vectors as text (GloVe, word2vec, fastText), and as NumPy arrays with a vocabulary file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from textrnn.data.reading.encodings import UTF8
from textrnn.data.reading.io import read_blocks
from textrnn.data.vectors.word_block import WordBlock, is_number
from textrnn.errors import DataError

_FORMAT = "write lines of a word and its numbers, separated by spaces, like GloVe and fastText (.vec, .txt)"


def is_array(path: str) -> bool:
    """Return whether ``path`` names a NumPy array."""
    return Path(path).suffix == ".npy"


def vocabulary_of(path: str) -> str:
    """Return the name of the file with the words of the array ``path``."""
    return str(Path(path).with_suffix(".vocab"))


def read_array(path: str) -> Iterator[WordBlock]:
    """Yield the words and rows of the array ``path`` (words, D); raises DataError."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(path, None, f"not a NumPy array, or truncated ({error})") from None
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating) or not array.size:
        reason = f"has shape {array.shape} and dtype {array.dtype}; save a float array of shape (words, numbers)"
        raise DataError(path, None, reason)
    names = vocabulary_of(path)
    row = 0
    for words in read_blocks(names, encoding=UTF8):
        _check_utf8(words, names, row + 1)
        if row + len(words) <= len(array):
            yield WordBlock(words, path, row + 1, array.shape[1], array[row : row + len(words)])
        row += len(words)
    if row != len(array):
        raise DataError(names, None, f"{row:,} words for the {len(array):,} rows of {path}; write one word per line")


def read_text(path: str) -> Iterator[WordBlock]:
    """Yield the words of a text file, perhaps compressed: ``word v1 v2 ...``; raises DataError with the line."""
    expected = width = 0
    number = words = 0
    for lines in read_blocks(path, encoding=UTF8):
        if number == 0:
            expected, width = _read_first_line(path, lines[0])
        start = 1 if number == 0 and expected else 0
        block = _split(lines[start:], path, width, first=number + start + 1)
        words += len(lines) - start
        number += len(lines)
        yield block
    if words < expected:
        reason = f"truncated: the first line announces {expected:,} words, the file has {words:,}; download it again"
        raise DataError(path, number, reason)
    if not number:
        raise DataError(path, None, f"no words; {_FORMAT}")


def _read_first_line(path: str, line: bytes) -> tuple[int, int]:
    """Return the number of words that the first line announces (0: it is a word), and the numbers per word."""
    parts = line.split()
    if len(parts) == 2 and all(part.isdigit() for part in parts) and int(parts[0]) and int(parts[1]):
        return int(parts[0]), int(parts[1])
    _check_utf8([line], path, 1)
    numbers = parts[1:]
    if not numbers or not all(map(is_number, numbers)):
        raise DataError(path, 1, f"not a word and its numbers; {_FORMAT}")
    return 0, len(numbers)


def _split(lines: list[bytes], path: str, width: int, *, first: int) -> WordBlock:
    words, numbers = [], []
    for row, line in enumerate(lines):
        content = line.rstrip(b" ") if line.endswith(b" ") else line  # fastText ends its lines with a space
        word, _, rest = content.partition(b" ")
        if content.count(b" ") != width:
            word, rest = _split_irregular(content, path, first + row, width=width)
        words.append(word)
        numbers.append(rest)
    _check_utf8(words, path, first)
    return WordBlock(words, path, first, width, numbers)


def _split_irregular(line: bytes, path: str, number: int, *, width: int) -> tuple[bytes, bytes]:
    """Return the word and the numbers of a line without ``width`` spaces; a word that contains spaces becomes empty.

    Raises:
        DataError: the line has too few or too many numbers.
    """
    _check_utf8([line], path, number)
    parts = line.split()
    if len(parts) == width + 1:
        return parts[0], b" ".join(parts[1:])
    if len(parts) <= width or all(map(is_number, parts[1:])):
        count = max(0, len(parts) - 1)
        raise DataError(path, number, f"{count} numbers, but other words have {width}; {_FORMAT}")
    return b"", b" ".join(parts[-width:])


def _check_utf8(words: list[bytes], path: str, first: int) -> None:
    try:
        b"\n".join(words).decode()
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n")
        raise DataError(path, first + row, "not UTF-8 text; convert a binary file to text first") from None
