"""Text that is safe and visible in HTML: control characters, bidirectional marks, long labels."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)
_CONTROL_PICTURES = 0x2400
_WIDE = 2


def clean(text: str) -> str:
    """Return ``text`` with visible names for control characters, bidirectional marks and lone surrogates."""
    return _INVISIBLE.sub(lambda match: _name(match[0]), text) if _INVISIBLE.search(text) else text


def _name(character: str) -> str:
    code = ord(character)
    return chr(_CONTROL_PICTURES + code) if code < 0x20 else f"[U+{code:04X}]"


def measure_width(text: str) -> int:
    """Return the columns that ``text`` takes; characters of East Asian scripts take two."""
    return sum(map(_measure, text))


def _measure(character: str) -> int:
    return _WIDE if unicodedata.east_asian_width(character) in "WF" else 1


def abbreviate(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` columns."""
    widths = [*map(_measure, text)]
    if sum(widths) <= width:
        return text
    total, end = 1, 0
    for end, own in enumerate(widths):  # noqa: B007 - the end of the loop is the result
        total += own
        if total > width:
            break
    return text[:end].rstrip() + "…"
