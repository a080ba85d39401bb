"""Pretrained word vectors: the words and numbers of a file or folder, whatever its format."""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from textrnn.data.cache import SETTLED_NS, Cache, read_stat
from textrnn.data.reading.decompression import DAMAGED, decompress
from textrnn.data.reading.io import check_readable, is_pipe
from textrnn.data.vectors.fasttext_binary import FastTextVectors, is_fasttext
from textrnn.data.vectors.model2vec_folder import StaticVectors, list_files
from textrnn.data.vectors.text_vectors import is_array, read_array, read_text, vocabulary_of
from textrnn.data.vectors.word2vec_binary import is_word2vec, read_binary
from textrnn.data.vectors.word_block import Composer, WordBlock
from textrnn.errors import DataError

_READ_BYTES = 1 << 20
_HEAD_BYTES = 1 << 14


def read_vectors(path: str) -> Iterator[WordBlock]:
    """Yield the words of ``path`` with their vectors, all of one width. Its content tells the format.

    A text file has a line ``word v1 v2 ...`` for each word, may start with a line ``words numbers`` of the two counts
    (word2vec, fastText), and may be compressed. A NumPy array ``NAME.npy`` of shape (words, D) has its words in
    ``NAME.vocab``, one per line. Binary files are those of word2vec, perhaps compressed, and of fastText. A folder
    holds a static model of model2vec. Words that contain a space become empty: they match no piece of a tokenizer.

    Raises:
        DataError: the file cannot be read, or has another format; with its line.
        ConfigError: a package that the format needs is not installed.
    """
    check_vectors(path)
    if Path(path).is_dir():
        return StaticVectors(path).read_words()
    if is_array(path):
        return read_array(path)
    head = _read_head(path)
    if is_fasttext(head):
        return FastTextVectors(path).read_words()
    return read_binary(path) if is_word2vec(head) else read_text(path)


def open_composer(path: str) -> Composer | None:
    """Return what makes vectors for other words than those of ``path``; None if its format has no parts of words."""
    if Path(path).is_dir():
        return StaticVectors(path)
    return FastTextVectors(path) if not is_array(path) and is_fasttext(_read_head(path)) else None


def check_vectors(path: str) -> None:
    """Check that the files of :func:`read_vectors` exist and can be read twice; raises DataError."""
    for name in _list_files(path):
        check_readable(name)
        if is_pipe(name):
            raise DataError(name, None, "is a pipe and would be read twice; save the vectors to a file")


def digest_vectors(path: str, cache: Cache) -> list[str]:
    """Return the digest of the content of each file that :func:`read_vectors` reads; ``cache`` keeps it."""
    return [digest_file(Path(name), cache) for name in _list_files(path)]


def digest_file(path: Path, cache: Cache) -> str:
    """Return the digest of the bytes of ``path``; ``cache`` keeps it until the file changes."""
    if (kept := cache.get_digest(path)) is not None:
        return kept
    started, stat = time.time_ns(), read_stat(path)
    hasher = blake2b(digest_size=32)
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
    if stat and max(stat[1:3]) < started - SETTLED_NS:
        cache.put_digest(path, stat, hasher.hexdigest())
    return hasher.hexdigest()


def _list_files(path: str) -> list[str]:
    if Path(path).is_dir():
        return list_files(path)
    return [path, vocabulary_of(path)] if is_array(path) else [path]


def _read_head(path: str) -> bytes:
    """Return the first bytes of the content; none if it is damaged, which the reader of text reports."""
    try:
        with Path(path).open("rb") as raw:
            return decompress(raw).read(_HEAD_BYTES)
    except (*DAMAGED, OSError):
        return b""
