"""Encodings of text files: byte-order marks, UTF-16 without one, and legacy encodings such as CP949."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from itertools import islice

AUTO = "auto"
UTF8 = "utf-8"
MARKS = {
    b"\xef\xbb\xbf": UTF8,
    b"\xff\xfe\x00\x00": "utf-32-le",
    b"\x00\x00\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
"""Byte-order marks with their encodings."""

# encodings of the systems in use; charset-normalizer knows many more, which only make its guesses worse
_LATIN = ("cp1252", "cp1250", "cp1254", "iso8859_2")
_OTHER = ("euc_jp", "gb18030", "big5", "cp1255", "cp1256")
_MAX_SAMPLE = 1 << 16
_MIN_SAMPLE = 12  # bytes that are not ASCII: six letters of Korean
_STRAY_SHARE = 0.05  # of lines that are not ASCII: damage, not an encoding
_MARGIN = 0.02  # differences between two guesses' scores that mean nothing
_SCRIPTS = {
    "cp932": ("cp932", "[\u3041-\u30fe]", 0.25),
    "cp949": ("euc_kr", "[\uac00-\ud7a3\u314b\u314e\u315c\u3160]", 0.85),  # the syllables in use
    "cp1251": ("cp1251", "[\u043e\u0435\u0430\u0438\u043d\u0442\u0441\u0440\u0432\u043b]", 0.5),
    "cp1253": ("cp1253", "[\u03b1\u03bf\u03b9\u03b5\u03c4\u03c3\u03bd\u03b7\u03c5\u03c1]", 0.4),
}
"""The codec of the frequent letters, these, and the share of all that are not ASCII that no other text reaches."""
_FLAW = re.compile(
    "[A-Za-z][\u0370-\u04ff]|[\u0370-\u04ff][A-Za-z]"  # two scripts in a word
    "|[A-Za-z\xc0-\u024f][^\\w\\s\\x00-\\x7f\u2019\u2013\u2014\u2026\xb7][A-Za-z\xc0-\u024f]"  # a symbol
    "|[a-z\xdf-\xff][\xc0-\xde\u0152\u0160\u0178\u017d]"  # a capital after a small letter
)
"""What words have where text is decoded by the wrong encoding."""
_MAX_FLAWS = 0.02  # of the characters that are not ASCII


def find_mark(head: bytes) -> bytes:
    """Return the byte-order mark that ``head`` starts with, or no bytes."""
    return next((mark for mark in MARKS if head.startswith(mark)), b"")


def find_utf16(head: bytes) -> str | None:
    """Return the byte order of UTF-16 text without a byte-order mark, or None.

    In such text every second byte of ASCII characters is NUL. Other text with NULs has them at odd places, too.
    """
    head = head[: min(len(head), 1 << 12) & ~1]
    for name, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if zeros.count(0) > max(2, len(head) // 40) and not others.count(0):
            text = head.decode(name, errors="replace")
            if "\ufffd" not in text[:-1] and sum(not (c.isprintable() or c.isspace()) for c in text) <= len(text) // 50:
                return name
    return None


def guess_encoding(data: bytes) -> str | None:
    """Return the encoding of ``data``, which has bytes that are not ASCII; None if they are too few to tell.

    UTF-8 is the answer if at least half of the lines with such bytes are UTF-8, or if few lines have any. Other
    encodings must decode all lines, and score better than all others that would give another text.
    """
    *lines, last = data.split(b"\n")
    lines = [line + b"\n" for line in lines if not line.isascii()]  # UTF-8 that a line end cuts is none
    lines += [] if last.isascii() else [last]
    if 2 * sum(map(_is_utf8, lines)) >= len(lines) or len(lines) < _STRAY_SHARE * data.count(b"\n"):
        return UTF8
    sample = b""
    for line in islice(lines, 1000):
        if len(sample) + len(line) <= _MAX_SAMPLE or not sample:
            sample += line[:_MAX_SAMPLE]
    if sum(byte > 127 for byte in sample) < _MIN_SAMPLE:
        return None
    for name, (codec, letters, share) in _SCRIPTS.items():
        with suppress(UnicodeDecodeError):
            text, frequent = sample.decode(name), sample.decode(codec, errors="ignore")
            if len(re.findall(letters, frequent)) >= share * _count_other(text) and _is_plausible(text):
                return name
    from charset_normalizer import from_bytes  # noqa: PLC0415 - needed for few files, and slow to import

    candidates = [*_SCRIPTS, *_LATIN, *_OTHER]
    matches = [match for match in from_bytes(sample, cp_isolation=candidates) if _is_plausible(str(match))]
    if not matches:
        return None
    best = matches[0]
    rivals = [m for m in matches if m.chaos <= best.chaos + _MARGIN and m.coherence >= best.coherence - _MARGIN]
    names = {name for match in rivals for name in match.could_be_from_charset}
    if len(rivals) == 1 and "cp1252" not in names:
        return None if best.encoding in _SCRIPTS else str(best.encoding)
    # Western and Central European text often scores alike; the former is by far more common
    return "cp1252" if "cp1252" in names and all(match.encoding in _LATIN for match in rivals) else None


def is_certain_utf8(data: bytes) -> bool:
    """Return whether all of ``data`` is UTF-8, and so much of it not ASCII that no other text is by chance."""
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    return sum(byte > 127 for line in lines[:_MIN_SAMPLE] for byte in line) >= _MIN_SAMPLE and all(map(_is_utf8, lines))


def _count_other(text: str) -> int:
    """Return the number of characters that are not ASCII."""
    return sum(not character.isascii() for character in text)


def _is_plausible(text: str) -> bool:
    return len(_FLAW.findall(text)) <= _MAX_FLAWS * _count_other(text)


def _is_utf8(line: bytes) -> bool:
    try:
        codecs.utf_8_decode(line, "strict", False)
    except UnicodeDecodeError:
        return False
    return True
