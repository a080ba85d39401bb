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
_ASIAN = ("cp949", "cp932", "euc_jp", "gb18030", "big5")
_LATIN = ("cp1252", "cp1250", "cp1254")
_OTHER = ("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256")
_MAX_SAMPLE = 1 << 16
_MIN_SAMPLE = 12  # bytes that are not ASCII: six letters of Korean
_STRAY_SHARE = 0.05  # of lines that are not ASCII: damage, not an encoding
_MARGIN = 0.02  # differences between two guesses' scores that mean nothing
_SCRIPTS = {"cp932": ("[\u3041-\u30fe]", 0.25), "cp949": ("[\uac00-\ud7a3]", 0.95)}
"""Letters, and their share of all that are not ASCII, that no text in another encoding reaches by chance."""


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
    for name, (letters, share) in _SCRIPTS.items():
        with suppress(UnicodeDecodeError):
            text = "".join(c for c in sample.decode(name) if c > "\x7f")
            if len(re.findall(letters, text)) >= share * len(text):
                return name
    from charset_normalizer import from_bytes  # noqa: PLC0415 - needed for few files, and slow to import

    matches = [*from_bytes(sample, cp_isolation=[*_ASIAN, *_LATIN, *_OTHER])]
    if not matches:
        return None
    best = matches[0]
    rivals = [m for m in matches if m.chaos <= best.chaos + _MARGIN and m.coherence >= best.coherence - _MARGIN]
    names = {name for match in rivals for name in match.could_be_from_charset}
    if len(rivals) == 1 and "cp1252" not in names:
        return str(best.encoding)
    # Western and Central European text often scores alike; the former is by far more common
    return "cp1252" if "cp1252" in names and all(match.encoding in _LATIN for match in rivals) else None


def _is_utf8(line: bytes) -> bool:
    try:
        codecs.utf_8_decode(line, "strict", False)
    except UnicodeDecodeError:
        return False
    return True
