"""Encodings of text files: byte-order marks, UTF-16 without one, and legacy encodings such as CP949."""

from __future__ import annotations

import codecs
import re
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

_MAX_SAMPLE = 1 << 16
_MIN_SAMPLE = 10  # bytes that are not ASCII: five letters of Korean
_STRAY_SHARE = 0.05  # of lines that are not ASCII: damage, not an encoding

_SIGNS = "\u00a0\u2018\u2019\u201a\u201c\u201d\u201e\u2013\u2014\u2026\u2022\u20ac\u2122«»°§·´®©"
_KANA = "".join(map(chr, range(0x3041, 0x30FF)))
_HANGUL = (
    "이다는을가요고하의에지어기도사리나아로니해한습자서시인게은스일대안주라만그있부들보오수것거세여정합했문제전상"
    "구장면원"
)
_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所"
    "然家种事成方多经么去法学如都同现没定"
    "天分还好小其些样心她本前开但因只从想实日请很给什"
)
_TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所"
    "然家種事成方多經麼去法學如都同現沒定"
    "天分還好小其些樣心她本前開但因只從想實日請很給什"
)
_WESTERN = ("äöüßé", "àâæçéèêëîïôœùûü", "áéíóúñü¿¡ªº", "áéíóúàâãçêôõºª", "àèéìòù", "åäöæøé", "éëïöüèê")
_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíľňóôšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž")
_CYRILLIC, _GREEK, _HEBREW, _ARABIC = "оеаинтсрвл", "αοιετσςνηυράίόέή", "ויהלאתרמבש", "اليمنورتبع"
_ALPHABET, _LATIN = 0.5, 0.98  # shares of encodings with a byte a letter
_ENCODINGS: dict[str, tuple[float, tuple[str, ...]]] = {
    "cp949": (0.15, (_HANGUL,)),
    "cp932": (0.25, (_KANA,)),
    "euc_jp": (0.25, (_KANA,)),
    "gb18030": (0.15, (_SIMPLIFIED,)),
    "big5": (0.15, (_TRADITIONAL,)),
    "cp1252": (_LATIN, _WESTERN),
    "cp1250": (_LATIN, _CENTRAL),
    "cp1254": (_LATIN, ("çğıöşüâîû",)),
    "cp1251": (_ALPHABET, (_CYRILLIC,)),
    "koi8_r": (_ALPHABET, (_CYRILLIC,)),
    "cp1253": (_ALPHABET, (_GREEK,)),
    "cp1255": (_ALPHABET, (_HEBREW,)),
    "cp1256": (_ALPHABET, (_ARABIC,)),
}
"""The encodings in use, with letters of each of their languages, and the share of these that only such text has.

The letters are all that are not ASCII of a Latin alphabet, and the most common ones of other scripts.
"""
_FOREIGN = re.compile("[^\\W\x00-\x7f]+")
_MIXED = re.compile("[a-zA-Z][^\\W\x00-\x7f]|[^\\W\x00-\x7f][a-zA-Z]")


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
    encodings must decode all lines, and give letters of their languages; no two may give different texts.
    """
    lines = _list_foreign_lines(data)
    if is_mostly_utf8(data) or len(lines) < _STRAY_SHARE * data.count(b"\n"):
        return UTF8
    sample = b""
    for line in islice(lines, 1000):
        if len(sample) + len(line) <= _MAX_SAMPLE or not sample:
            sample += line[:_MAX_SAMPLE]
    if sum(byte > 127 for byte in sample) < _MIN_SAMPLE:
        return None
    texts = {name: text for name in _ENCODINGS if (text := _decode_fitting(sample, name)) is not None}
    # text that several encodings decode alike, such as German in those of Western and Central Europe, is no doubt
    return next(iter(texts)) if len(set(texts.values())) == 1 else None


def is_mostly_utf8(data: bytes) -> bool:
    """Return whether at least half of the lines of ``data`` that are not ASCII are UTF-8."""
    lines = _list_foreign_lines(data)
    return 2 * sum(map(_is_utf8, lines)) >= len(lines)


def _list_foreign_lines(data: bytes) -> list[bytes]:
    *lines, last = data.split(b"\n")
    lines = [line + b"\n" for line in lines if not line.isascii()]  # UTF-8 that a line end cuts is none
    return lines if last.isascii() else [*lines, last]


def is_certain_utf8(data: bytes) -> bool:
    """Return whether all of ``data`` is UTF-8, and so much of it not ASCII that no other text is by chance."""
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    return sum(byte > 127 for line in lines[:_MIN_SAMPLE] for byte in line) >= _MIN_SAMPLE and all(map(_is_utf8, lines))


def _decode_fitting(sample: bytes, name: str) -> str | None:
    """Return ``sample`` as text if it is valid in an encoding, and has the letters of one of its languages."""
    try:
        text = codecs.getincrementaldecoder(name)().decode(sample)  # the last character may be cut
    except UnicodeDecodeError:
        return None
    share, languages = _ENCODINGS[name]
    is_latin = share == _LATIN
    if not is_latin and 2 * len(_MIXED.findall(text)) > len(_FOREIGN.findall(text)):
        return None
    has_signs = share >= _ALPHABET  # a wrong encoding with a byte a letter shows odd signs between the letters
    # capitals count as odd in other scripts: Greek is all capitals in koi8_r
    letters = [c for c in (text.lower() if is_latin else text) if c > "\x7f" and (has_signs or c.isalpha())]
    rest = [c for c in letters if c not in _SIGNS]
    fits = any(sum(map(language.__contains__, rest)) >= share * len(rest) for language in languages)
    return text if fits and (rest or is_latin) else None


def _is_utf8(line: bytes) -> bool:
    try:
        codecs.utf_8_decode(line, "strict", False)
    except UnicodeDecodeError:
        return False
    return True
