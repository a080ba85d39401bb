"""Parts of long texts, in UTF-8: SentencePiece needs about 50 times the memory of a text, or ends the process."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

MAX_PART = 1 << 20
"""The most bytes that are encoded at once without a question."""

_MEMORY = 64  # bytes that SentencePiece needs for each byte, at most
_WORD = re.compile(rb"[^ \t\r\n]+")


def cut(text: bytes, size: int, start: int = 0) -> int:
    """Return the end of the longest part of ``text`` from ``start`` that has at most ``size`` bytes, at least one.

    It ends before a space if its second half has one, otherwise between two characters.
    """
    end = start + size
    if end >= len(text):
        return len(text)
    if (space := text.rfind(b" ", start + size // 2, end + 1)) > start:
        return space
    while text[end] & 0xC0 == 0x80 and end > start + 1:  # inside a character
        end -= 1
    return end


def split(text: bytes, size: int = MAX_PART) -> Iterator[bytes]:
    """Yield the parts of ``text``, at least one and none longer than ``size``; joined they are the text."""
    start = cut(text, size)
    yield text[:start]
    while start < len(text):
        end = cut(text, size, start)
        yield text[start:end]
        start = end


def list_parts(text: bytes) -> list[bytes]:
    """Return ``text`` in a list, or if it is longer than MAX_PART, its parts that are not blank, at least one."""
    return [text] if len(text) <= MAX_PART else [part for part in split(text) if part.strip()] or [b""]


def join_words(text: bytes, size: int) -> bytes:
    """Return the first words of ``text``, joined by single spaces, about ``size`` bytes."""
    words, length = [], 0
    for match in _WORD.finditer(text):
        start, end = match.span()
        words.append(text[start : min(end, cut(text, size, start))])
        length += len(words[-1]) + 1
        if length > size:
            break
    return b" ".join(words)


def check_memory(text: str | bytes) -> None:
    """Raise MemoryError if there is too little memory to encode the whole ``text``."""
    if len(text) > MAX_PART:
        np.empty(_MEMORY * len(text), np.uint8)  # freed at once
