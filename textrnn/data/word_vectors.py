"""Files of word vectors: the text of GloVe, word2vec and fastText, and NumPy arrays with their words beside them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.data.cache import SETTLED_NS, Cache, take_stat
from textrnn.data.io import check_readable, is_pipe, read_blocks
from textrnn.errors import DataError

Vectors = npt.NDArray[np.float32]

_LARGEST = float(np.finfo(np.float32).max)
_READ_BYTES = 1 << 20
_LINES = "write a word and its numbers a line, with blanks between them, as GloVe and fastText do (.vec, .txt)"


@dataclass(frozen=True)
class WordBlock:
    """Some words of a file, in its order; their numbers are read when they are asked for.

    Args:
        words: B words in UTF-8.
        source: the file, which :meth:`take` names in an error.
        first: the line of the first of them, or its row (from 1).
        width: the numbers of a word (D).
        numbers: the numbers of each word: as text, or as an array (B, D).
    """

    words: list[bytes]
    source: str
    first: int
    width: int
    numbers: Sequence[bytes] | npt.NDArray[np.floating] = field(repr=False)

    def take(self, rows: Sequence[int]) -> Vectors:
        """Return the vectors (R, D) float32 of the words ``rows`` of this block.

        Raises:
            DataError: what stands there is not a number, or not finite; with its line.
        """
        try:
            with np.errstate(over="ignore"):
                found = np.array([self._parse(row) for row in rows], np.float32).reshape(-1, self.width)
            if np.isfinite(found).all():
                return found
        except ValueError:
            pass
        raise self._find_fault(rows)

    def _parse(self, row: int) -> list[float] | npt.NDArray[np.floating]:
        numbers = self.numbers[row]
        return list(map(float, numbers.split(b" "))) if isinstance(numbers, bytes) else numbers

    def _find_fault(self, rows: Sequence[int]) -> DataError:
        for row in rows:
            for text in self._list_numbers(row):
                if not _is_number(text):
                    reason = f"{_show(text)} is not a number"
                elif not abs(float(text)) <= _LARGEST:
                    reason = f"{_show(text)} is not a finite number of 32 bits"
                else:
                    continue
                return DataError(self.source, self.first + row, f"{reason}; mend the line, or take it out")
        raise AssertionError  # one of them is at fault

    def _list_numbers(self, row: int) -> list[bytes] | list[float]:
        numbers = self.numbers[row]
        return numbers.split(b" ") if isinstance(numbers, bytes) else numbers.tolist()


def read_vectors(path: str) -> Iterator[WordBlock]:
    """Yield the words of a file with their vectors; every word has as many numbers.

    A file of text has a line ``word v1 v2 ...`` for each word, may begin with a line ``words numbers`` that counts both
    (word2vec, fastText), and may be compressed. A NumPy array, ``NAME.npy`` of shape (words, D), has its words in
    ``NAME.vocab``, one a line. Words with blanks inside are passed over: no piece of a tokenizer is one.

    Raises:
        DataError: the file cannot be read, or is not like that; with its line.
    """
    check_files(path)
    yield from _read_array(path) if _is_array(path) else _read_text(path)


def check_files(path: str) -> None:
    """Check that what :func:`read_vectors` reads is there and can be read twice; raises DataError."""
    for name in list_files(path):
        check_readable(name)
        if is_pipe(name):
            raise DataError(name, None, "a pipe, which would be read twice; put the vectors into a file")


def digest_files(path: str, store: Cache) -> list[str]:
    """Return a digest of the content of each file that :func:`read_vectors` reads; ``store`` remembers it."""
    return [store.recall(Path(name)) or _digest(Path(name), store) for name in list_files(path)]


def _digest(path: Path, store: Cache) -> str:
    started, stat = time.time_ns(), take_stat(path)
    hasher = blake2b(digest_size=32)
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
    if stat and max(stat[1:3]) < started - SETTLED_NS:
        store.remember(path, stat, hasher.hexdigest())
    return hasher.hexdigest()


def name_vocabulary(path: str) -> str:
    """Return the name of the file that holds the words of the array ``path``."""
    return str(Path(path).with_suffix(".vocab"))


def list_files(path: str) -> list[str]:
    """Return the files that :func:`read_vectors` reads for ``path``."""
    return [path, name_vocabulary(path)] if _is_array(path) else [path]


def _is_array(path: str) -> bool:
    return Path(path).suffix == ".npy"


def _read_array(path: str) -> Iterator[WordBlock]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(path, None, f"not a NumPy array, or cut short ({error})") from None
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating) or not array.size:
        raise DataError(
            path, None, f"an array {array.shape} of {array.dtype}; it should be words by numbers, of floats"
        )
    names = name_vocabulary(path)
    row = 0
    for words in read_blocks(names):
        _check_text(words, names, row + 1)
        if row + len(words) <= len(array):
            yield WordBlock(words, path, row + 1, array.shape[1], array[row : row + len(words)])
        row += len(words)
    if row != len(array):
        raise DataError(names, None, f"{row:,} words for the {len(array):,} rows of {path}; write one word a line")


def _read_text(path: str) -> Iterator[WordBlock]:
    counted = width = 0
    number = found = 0
    for lines in read_blocks(path):
        if number == 0:
            counted, width = _read_first(path, lines[0])
        start = 1 if number == 0 and counted else 0
        block = _split(lines[start:], path, number + start + 1, width)
        found += len(lines) - start
        number += len(lines)
        yield block
    if found < counted:
        reason = f"the first line counts {counted:,} words, and there are {found:,}; the file is cut short"
        raise DataError(path, number, reason)
    if not number:
        raise DataError(path, None, f"holds no words; {_LINES}")


def _read_first(path: str, line: bytes) -> tuple[int, int]:
    """Return how many words the first line counts (0: it is a word itself), and how many numbers a word has."""
    parts = line.split()
    if len(parts) == 2 and all(part.isdigit() for part in parts) and int(parts[0]) and int(parts[1]):
        return int(parts[0]), int(parts[1])
    _check_text([line], path, 1)
    numbers = parts[1:]
    if not numbers or not all(map(_is_number, numbers)):
        raise DataError(path, 1, f"not a word and its numbers; {_LINES}")
    return 0, len(numbers)


def _split(lines: list[bytes], path: str, first: int, width: int) -> WordBlock:
    words, numbers = [], []
    for row, line in enumerate(lines):
        whole = line.rstrip(b" ") if line.endswith(b" ") else line  # fastText ends a line so
        word, _, rest = whole.partition(b" ")
        if whole.count(b" ") != width:
            word, rest = _read_odd(whole, path, first + row, width=width)
        words.append(word)
        numbers.append(rest)
    _check_text(words, path, first)
    return WordBlock(words, path, first, width, numbers)


def _read_odd(line: bytes, path: str, number: int, *, width: int) -> tuple[bytes, bytes]:
    """Return the word and the numbers of a line that has not ``width`` blanks; the word is empty if it has some inside.

    Raises:
        DataError: there are too few or too many numbers.
    """
    _check_text([line], path, number)
    parts = line.split()
    if len(parts) == width + 1:
        return parts[0], b" ".join(parts[1:])
    if len(parts) <= width or all(map(_is_number, parts[1:])):
        count = max(0, len(parts) - 1)
        raise DataError(path, number, f"{count} numbers, where other words have {width}; {_LINES}")
    return b"", b" ".join(parts[-width:])


def _check_text(words: list[bytes], path: str, first: int) -> None:
    try:
        b"\n".join(words).decode()
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n")
        raise DataError(path, first + row, "not UTF-8 text; a binary file has to be written as text first") from None


def _is_number(text: bytes | float) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _show(text: bytes | float) -> str:
    return repr(text.decode(errors="replace")) if isinstance(text, bytes) else str(text)
