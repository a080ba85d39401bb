"""N-grams of texts given as token ids, hashed to 32-bit keys. Training and prediction count the same keys.

:func:`hash_text` is the definition. The C++ library returns the same keys in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Ids, Offsets, make_offsets
from textrnn.native import functions
from textrnn.native.library import default_threads, is_available
from textrnn.tokenization.tokenizer import Tokenizer

LONGEST = 6
"""Code points of the longest window."""
SPACE = 0x2581  # as in pieces
UNKNOWN = 0xFFFD  # code point of the unknown piece
FIRST_BYTE = 0x110000  # byte pieces get symbols after the last code point
KINDS = 3
KIND_BITS = 30  # the kind of a key is in the bits above: 0 for windows inside a word, then the following two
ACROSS, WORDS = 0x4000_0000, 0x8000_0000

Codes = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint32]

# Random 64-bit numbers; multipliers are odd. native/ngrams/ngrams.cpp repeats them. Saved models depend on all of them.
_POWER = 0xDAC8DC4917B45A3D
_WINDOW_SALT, _ACROSS_SALT, _WORD_SALT = 0x39643AEB745FCB87, 0x6C1F2B9D4E83A705, 0x2301531EA91AC263
_PAIR_FIRST, _PAIR_SECOND = 0x7BF7B06DBE1E1B5D, 0x434AF8C5F5423E09
_BEGIN, _END = 0xD450D8653459D86B, 0x9AB21290D1EB8FE7  # stand for the words before the first and after the last
_MIX_FIRST, _MIX_SECOND = 0x5EF3F4DCCCA7B2C1, 0x3C8C17F82B5C3331
_64_BITS = 2**64 - 1


@dataclass(frozen=True, eq=False)
class Spelling:
    """The code points of each piece of a vocabulary, end to end.

    ``codes``: (P,) uint32; ``offsets``: (V+1,) int64, piece ``i`` is ``codes[offsets[i]:offsets[i+1]]``. U+2581 is a
    space, the unknown piece is U+FFFD, byte ``b`` is 0x110000 + ``b``, and control pieces are empty.
    """

    codes: Codes
    offsets: Offsets

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Spelling:
        """Return the spelling of the pieces of ``tokenizer``."""
        pieces, single_bytes = tokenizer.list_pieces(), tokenizer.list_bytes()
        spelled = [pieces.get(i, "") for i in range(len(tokenizer))]
        for i in (*single_bytes, tokenizer.unknown_id):
            spelled[i] = chr(UNKNOWN)
        offsets = make_offsets(np.fromiter(map(len, spelled), np.int64, len(spelled)))
        codes = np.frombuffer("".join(spelled).encode("utf-32-le"), "<u4").astype(np.uint32)
        for i, byte in single_bytes.items():
            codes[offsets[i]] = FIRST_BYTE + byte
        return cls(codes, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def spell(self, ids: Ids) -> list[int]:
        """Return the code points of a text with the pieces ``ids`` (N,)."""
        return [code for i in ids.tolist() for code in self.codes[self.offsets[i] : self.offsets[i + 1]].tolist()]


def hash_ngrams(
    ids: Ids, offsets: Offsets, spelling: Spelling, *, threads: int | None = None, library: bool = True
) -> tuple[Keys, Offsets]:
    """Return the keys of all n-grams of B texts, in the order of :func:`hash_text`, and the offsets of each text.

    Args:
        ids: (N,) int32, the tokens of all texts end to end.
        offsets: (B+1,) int64, text ``b`` is ``ids[offsets[b]:offsets[b+1]]``; a text may be empty.
        spelling: of the tokenizer that made ``ids``.
        threads: the most threads that the C++ library uses; by default as many as prediction does.
        library: whether to use the C++ library if it is available.

    Returns:
        keys (K,) uint32, one for each occurrence, and their offsets (B+1,) int64.

    Raises:
        ValueError: offsets that do not rise from 0 to N, or an id outside the vocabulary of ``spelling``.
        MemoryError: the keys do not fit into memory.
    """
    if library and is_available():
        arguments = native_arguments(ids, offsets, spelling, threads=threads)
        counts = np.empty(max(0, len(offsets) - 1), np.int64)
        functions.ngram_counts(**arguments, counts=counts)
        bounds = make_offsets(counts)
        hashed = np.empty(bounds[-1], np.uint32)
        functions.ngram_keys(**arguments, bounds=bounds, keys=hashed)
        return hashed, bounds
    check_texts(ids, offsets, spelling)
    keys = [hash_text(spelling.spell(ids[start:stop])) for start, stop in pairwise(offsets.tolist())]
    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    return np.array([key for text in keys for key in text], np.uint32), make_offsets(lengths)


def check_texts(ids: Ids, offsets: Offsets, spelling: Spelling) -> None:
    """Raise ValueError if offsets do not rise from 0 to N, or an id is outside the vocabulary."""
    rising = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(ids) and (np.diff(offsets) >= 0).all()
    if not rising or (len(ids) and (ids.min() < 0 or ids.max() >= len(spelling))):
        raise ValueError(functions.TEXTS_REFUSED)


def native_arguments(ids: Ids, offsets: Offsets, spelling: Spelling, *, threads: int | None) -> dict[str, Any]:
    """Return the arguments of the C++ functions over texts."""
    return {
        "ids": np.ascontiguousarray(ids, np.int32),
        "offsets": np.ascontiguousarray(offsets, np.int64),
        "codes": np.ascontiguousarray(spelling.codes, np.uint32),
        "spelling": np.ascontiguousarray(spelling.offsets, np.int64),
        "threads": threads or default_threads(),
    }


def hash_text(codes: Sequence[int]) -> list[int]:
    """Return the keys of the n-grams of one text, given as code points.

    Words are separated by spaces. Each word gives its own key, the key of the pair with the word before it, and the
    keys of all windows of 1 to 6 code points of the word with a space on both sides, except a space alone. The text
    then gives the pair of the last word and the end, and all windows with a space inside, which span words.

    A key holds the kind of n-gram in its upper 2 bits and the upper 30 bits of a 64-bit hash in the others. All sums
    and products are modulo 2**64.
    """
    words = _split(codes)
    keys, previous = [], _BEGIN
    for word in words:
        word_hash = _hash(word, _WORD_SALT)
        keys += [WORDS | _upper_bits(word_hash), WORDS | _upper_bits(_hash_pair(previous, word_hash))]
        windows = _windows([SPACE, *word, SPACE])
        keys += [_upper_bits(_hash(window, len(window) * _WINDOW_SALT)) for window in windows if window != [SPACE]]
        previous = word_hash
    if words:
        keys.append(WORDS | _upper_bits(_hash_pair(previous, _END)))
    line = [SPACE, *(code for word in words for code in (*word, SPACE))]
    across = [window for window in _windows(line) if SPACE in window[1:-1]]
    return keys + [ACROSS | _upper_bits(_hash(window, len(window) * _ACROSS_SALT)) for window in across]


def _split(codes: Sequence[int]) -> list[list[int]]:
    """Return the words of a text: the runs of code points without a space."""
    words: list[list[int]] = [[]]
    for code in codes:
        if code == SPACE:
            words.append([])
        else:
            words[-1].append(code)
    return [word for word in words if word]


def _windows(codes: list[int]) -> Iterator[list[int]]:
    """Yield the windows of 1 to LONGEST code points by start, then by length."""
    for start in range(len(codes)):
        for stop in range(start + 1, min(start + LONGEST, len(codes)) + 1):
            yield codes[start:stop]


def _hash(codes: Sequence[int], salt: int) -> int:
    """Return the hash of code points: mix(salt + sum of (code + 1) * _POWER**k), a polynomial rolling hash."""
    total, power = salt, 1
    for code in codes:
        total += (code + 1) * power
        power = power * _POWER & _64_BITS
    return _mix(total & _64_BITS)


def _hash_pair(first: int, second: int) -> int:
    """Return the hash of two words from the hashes of each."""
    return _mix((first * _PAIR_FIRST + second * _PAIR_SECOND) & _64_BITS)


def _mix(x: int) -> int:
    """Spread each bit over all others by the steps of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    x = (x ^ x >> 30) * _MIX_FIRST & _64_BITS
    x = (x ^ x >> 27) * _MIX_SECOND & _64_BITS
    return x ^ x >> 31


def _upper_bits(hashed: int) -> int:
    return hashed >> 64 - KIND_BITS
