"""Parts of long texts: where they end, and what they leave out."""

from __future__ import annotations

import pytest

from textrnn.tokenization import long_texts
from textrnn.tokenization.long_texts import check_memory, cut, join_words, split

TEXTS = [
    *(b"", b"a", b"a b", b" ", b"   a  b ", b"abcdefghij" * 5, b"ab cd efg " * 9),
    *("갈나무".encode() * 9, "새 갈나무 é ".encode() * 7, "\U0001f600".encode() * 9),
]


@pytest.mark.parametrize("size", [4, 7, 16, 1000])
@pytest.mark.parametrize("text", TEXTS)
def test_parts_are_short_whole_characters_and_together_the_text(text: bytes, size: int) -> None:
    parts = list(split(text, size))
    assert b"".join(parts) == text
    assert all(0 < len(part) <= size for part in parts) or parts == [b""]
    for part in parts:
        part.decode()  # no character is divided
    assert len(parts) <= 1 + 2 * len(text) / (size - 3)


def test_parts_end_before_a_space_if_there_is_one() -> None:
    assert list(split(b"one two three four", 9)) == [b"one two", b" three", b" four"]
    assert list(split(b"one twothree", 8)) == [b"one twot", b"hree"]  # the space is in the first half


def test_the_start_and_the_end_of_a_part_may_be_anywhere() -> None:
    assert (cut(b"ab cd", 9), cut(b"ab cd", 5), cut(b"ab cd", 4), cut(b"ab cd", 1, 3)) == (5, 5, 2, 4)
    assert cut("가가".encode(), 1) == 1  # no part is empty


@pytest.mark.parametrize(
    ("text", "size", "words"),
    [
        (b" " * 5000 + b"tea\t\r\n now" + b" " * 9, 100, b"tea now"),
        (b"one two three", 5, b"one two"),
        (b"x" * 5000, 10, b"x" * 10),
        (b"   ", 10, b""),
    ],
)
def test_blanks_do_not_count(text: bytes, size: int, words: bytes) -> None:
    assert join_words(text, size) == words


def test_memory_is_asked_for_before_a_long_text_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    check_memory(b"x" * 100)
    monkeypatch.setattr(long_texts, "_MEMORY", 1 << 40)
    check_memory(b"x" * 100)
    with pytest.raises(MemoryError):
        check_memory(b"x" * (long_texts.MAX_PART + 1))
