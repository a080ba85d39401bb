"""Blocks of words: numbers on demand, and words that are no text."""

from __future__ import annotations

from pathlib import Path

from textrnn.data.vectors.word_block import clean_words
from textrnn.data.word_vectors import read_vectors
from vector_files import GLOVE, VALUES, write


def test_only_the_requested_numbers_are_parsed(tmp_path: Path) -> None:
    (block,) = read_vectors(str(write(tmp_path / "words.txt", GLOVE.replace(" 0.25", " x"))))
    assert block.take([0, 4]).tolist() == VALUES[[0, 4]].tolist()
    assert block.take([]).shape == (0, 3)


def test_words_that_are_not_utf_8_become_empty() -> None:
    assert clean_words([b"tea", "주문".encode(), b"k\xff"]) == [b"tea", "주문".encode(), b""]
