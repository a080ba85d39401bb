"""Equality and similarity of texts: hashes of normalized texts, and MinHash signatures of character trigrams."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.int64]
Signatures = npt.NDArray[np.uint32]

BANDS = 5
BAND_ROWS = 4
SIMILAR = 0.8
"""The Jaccard similarity of trigrams from which two texts are reported as similar."""

_EMPTY = np.uint32(0xFFFFFFFF)
_LINE_END = 10
_MULTIPLIERS = np.random.default_rng(0).integers(0, 1 << 31, BANDS * BAND_ROWS, np.uint32) * np.uint32(2) + np.uint32(1)


def normalize(texts: Sequence[str]) -> list[str]:
    """Return each text in NFKC and without case, spaces, punctuation and control characters.

    Letters, marks, digits and symbols (including emoji) stay. A text of nothing else, such as ``?!``, only loses its
    spaces. The texts contain no ``\\n``.
    """
    joined = unicodedata.normalize("NFKC", "\n".join(texts)).casefold()
    kept = _ignored_characters().sub("", joined).split("\n")
    return [letters or "".join(text.split()) for letters, text in zip(kept, texts, strict=True)]


@cache
def _ignored_characters() -> re.Pattern[str]:
    # categories P, Z and C; C includes surrogates and private characters, which real text rarely has
    ignored = "".join(
        chr(code) for code in range(0x10000) if code != _LINE_END and unicodedata.category(chr(code))[0] in "PZC"
    )
    return re.compile(f"[{re.escape(ignored)}]+")


def hash_texts(texts: Sequence[str] | Sequence[bytes]) -> Hashes:
    """Return a hash (B,) int64 of each text, stable within this process."""
    return np.fromiter(map(hash, texts), np.int64, len(texts))


def find_first(keys: Hashes) -> npt.NDArray[np.int64]:
    """Return the index (R,) of the first row with the same key as each row."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64, copy=False)


def minhash(texts: Sequence[str]) -> Signatures:
    """Return the MinHash signature (B, BANDS * BAND_ROWS) uint32 of the character trigrams of each text.

    Two texts agree in an entry with the probability of the Jaccard similarity of their trigrams (Broder, "On the
    resemblance and containment of documents", 1997). A text of less than three characters has the largest value in all
    entries. The texts contain no ``\\n``.
    """
    if not texts:
        return np.zeros((0, len(_MULTIPLIERS)), np.uint32)
    codes = np.frombuffer("\n".join([*texts, ""]).encode("utf-32-le", errors="replace"), np.uint32)
    ends = codes == _LINE_END
    starts = np.append(0, np.flatnonzero(ends)[:-1] + 1)
    outside = ends.copy()  # positions where no trigram of one text starts
    outside[:-1] |= ends[1:]
    outside[:-2] |= ends[2:]
    trigrams = np.zeros(len(codes), np.uint32)
    trigrams[:-2] = (
        codes[:-2] * np.uint32(0x9E3779B1) ^ codes[1:-1] * np.uint32(0x85EBCA77) ^ codes[2:] * np.uint32(0xC2B2AE3D)
    )
    trigrams = _mix(trigrams)
    mask = np.where(outside, _EMPTY, np.uint32(0))
    signatures = np.empty((len(starts), len(_MULTIPLIERS)), np.uint32)
    for column, multiplier in enumerate(_MULTIPLIERS):
        signatures[:, column] = np.minimum.reduceat(trigrams * multiplier | mask, starts)
    return signatures


def _mix(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Spread every bit over all others: the finalizer of MurmurHash3."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


def find_pairs(signatures: Signatures) -> npt.NDArray[np.int64]:
    """Return candidate pairs (P, 2) int64 of similar rows: each row with the first row that shares a band.

    Pairs are sorted by the later row. Two texts with a similarity of 0.8 share a band in 93 % of cases.
    """
    rows = np.flatnonzero(signatures[:, 0] != _EMPTY)
    parts = [np.zeros((0, 2), np.int64)]
    for band in range(BANDS):
        entries = np.ascontiguousarray(signatures[rows, band * BAND_ROWS : (band + 1) * BAND_ROWS]).astype(np.uint64)
        key = entries[:, 0]
        for column in range(1, BAND_ROWS):
            key = (key * np.uint64(0x9E3779B97F4A7C15)) ^ entries[:, column]
        first = rows[find_first(key.view(np.int64))]
        later = first != rows
        parts.append(np.stack([rows[later], first[later]], axis=1))
    pairs = np.unique(np.concatenate(parts), axis=0)
    agreeing = np.zeros(len(pairs), np.int64)
    for column in range(signatures.shape[1]):
        agreeing += signatures[pairs[:, 0], column] == signatures[pairs[:, 1], column]
    # 99 % of texts with a similarity of 0.8 agree in at least this many entries
    return pairs[agreeing >= 3 * len(_MULTIPLIERS) // 5]


def jaccard_similarity(one: str, other: str) -> float:
    """Return the Jaccard similarity of the trigrams of two texts, in [0, 1]."""
    first, second = ({text[at : at + 3] for at in range(len(text) - 2)} for text in (one, other))
    return len(first & second) / max(1, len(first | second))
