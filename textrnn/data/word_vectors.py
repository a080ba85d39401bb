"""Files of word vectors: GloVe, word2vec and fastText text, and NumPy arrays with a vocabulary file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.data.cache import SETTLED_NS, Cache, read_stat
from textrnn.data.reading.encodings import UTF8
from textrnn.data.reading.io import check_readable, is_pipe, read_blocks
from textrnn.errors import DataError

Vectors = npt.NDArray[np.float32]

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_READ_BYTES = 1 << 20
_FORMAT = "write lines of a word and its numbers, separated by spaces, like GloVe and fastText (.vec, .txt)"


@dataclass(frozen=True)
class WordBlock:
    """Consecutive words of a file; their numbers are parsed on demand.

    Args:
        words: B words in UTF-8.
        source: the file, for error messages.
        first: the line of the first word, or its row in an array (from 1).
        width: the numbers per word (D).
        numbers: the numbers of each word: as text, or as an array (B, D).
    """

    words: list[bytes]
    source: str
    first: int
    width: int
    numbers: Sequence[bytes] | npt.NDArray[np.floating] = field(repr=False)

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

    def _parse(self, row: int) -> list[float] | npt.NDArray[np.floating]:
        numbers = self.numbers[row]
        return list(map(float, numbers.split(b" "))) if isinstance(numbers, bytes) else numbers

    def _find_fault(self, rows: Sequence[int]) -> DataError:
        for row in rows:
            numbers = self.numbers[row]
            values = numbers.split(b" ") if isinstance(numbers, bytes) else numbers.tolist()
            for value in values:
                name = repr(value.decode(errors="replace")) if isinstance(value, bytes) else value
                if not _is_number(value):
                    return DataError(self.source, self.first + row, f"{name} is not a number; fix or remove the line")
                if not abs(float(value)) <= _FLOAT32_MAX:
                    reason = f"{name} is not a finite 32-bit number; fix or remove the line"
                    return DataError(self.source, self.first + row, reason)
        raise AssertionError  # the caller has found a fault


def read_vectors(path: str) -> Iterator[WordBlock]:
    """Yield the words of a file with their vectors, all of one width.

    A text file has a line ``word v1 v2 ...`` for each word, may start with a line ``words numbers`` of the two counts
    (word2vec, fastText), and may be compressed. A NumPy array ``NAME.npy`` of shape (words, D) has its words in
    ``NAME.vocab``, one per line. Words that contain a space are skipped: they match no piece of a tokenizer.

    Raises:
        DataError: the file cannot be read, or has another format; with its line.
    """
    check_vectors(path)
    yield from _read_array(path) if _is_array(path) else _read_text(path)


def check_vectors(path: str) -> None:
    """Check that the files of :func:`read_vectors` exist and can be read twice; raises DataError."""
    for name in _list_files(path):
        check_readable(name)
        if is_pipe(name):
            raise DataError(name, None, "is a pipe and would be read twice; save the vectors to a file")


def digest_vectors(path: str, cache: Cache) -> list[str]:
    """Return the digest of the content of each file that :func:`read_vectors` reads; ``cache`` keeps it."""
    return [cache.get_digest(Path(name)) or _digest(Path(name), cache) for name in _list_files(path)]


def _digest(path: Path, cache: Cache) -> str:
    started, stat = time.time_ns(), read_stat(path)
    hasher = blake2b(digest_size=32)
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
    if stat and max(stat[1:3]) < started - SETTLED_NS:
        cache.put_digest(path, stat, hasher.hexdigest())
    return hasher.hexdigest()


def _vocabulary_of(path: str) -> str:
    return str(Path(path).with_suffix(".vocab"))


def _list_files(path: str) -> list[str]:
    return [path, _vocabulary_of(path)] if _is_array(path) else [path]


def _is_array(path: str) -> bool:
    return Path(path).suffix == ".npy"


def _read_array(path: str) -> Iterator[WordBlock]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(path, None, f"not a NumPy array, or truncated ({error})") from None
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating) or not array.size:
        reason = f"has shape {array.shape} and dtype {array.dtype}; save a float array of shape (words, numbers)"
        raise DataError(path, None, reason)
    names = _vocabulary_of(path)
    row = 0
    for words in read_blocks(names, encoding=UTF8):
        _check_utf8(words, names, row + 1)
        if row + len(words) <= len(array):
            yield WordBlock(words, path, row + 1, array.shape[1], array[row : row + len(words)])
        row += len(words)
    if row != len(array):
        raise DataError(names, None, f"{row:,} words for the {len(array):,} rows of {path}; write one word per line")


def _read_text(path: str) -> Iterator[WordBlock]:
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
    if not numbers or not all(map(_is_number, numbers)):
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
    if len(parts) <= width or all(map(_is_number, parts[1:])):
        count = max(0, len(parts) - 1)
        raise DataError(path, number, f"{count} numbers, but other words have {width}; {_FORMAT}")
    return b"", b" ".join(parts[-width:])


def _check_utf8(words: list[bytes], path: str, first: int) -> None:
    try:
        b"\n".join(words).decode()
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n")
        raise DataError(path, first + row, "not UTF-8 text; convert a binary file to text first") from None


def _is_number(text: bytes | float) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
