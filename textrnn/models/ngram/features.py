"""The n-grams of texts that are given as piece ids, hashed to 32-bit keys: what training and prediction both count.

The numpy code here is the definition; the C++ library gives the same keys in the same order. The formulas are in
docs/explanation/ngram-model.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Ids, Offsets, make_offsets
from textrnn.models.ngram import native
from textrnn.tokenization.tokenizer import Tokenizer

LONGEST = 6
"""Code points of the longest window of characters."""
SHORTEST_ACROSS = 3
"""Code points of the shortest window across words."""
BLANK = 0x2581  # as in pieces
UNKNOWN = 0xFFFD  # what an unknown piece counts as
FIRST_BYTE = 0x110000  # byte pieces are symbols behind the last code point
KINDS = 3
KIND_BITS = 30  # behind the kind of a key: 0 for characters of a word, then these
ACROSS, WORDS = 0x4000_0000, 0x8000_0000

Codes = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]

# Random 64-bit numbers, those that multiply odd; all are repeated in native/ngrams.cpp. A model file is worth nothing
# with others.
_POWER = np.uint64(0xDAC8DC4917B45A3D)
_SALT = np.uint64(0x39643AEB745FCB87)  # times n: of windows of n code points
_ACROSS_SALT = np.uint64(0x6C1F2B9D4E83A705)  # before that, across words
_WORD_SALT = np.uint64(0x2301531EA91AC263)
_PAIR_FIRST, _PAIR_SECOND = np.uint64(0x7BF7B06DBE1E1B5D), np.uint64(0x434AF8C5F5423E09)
_BEGIN, _END = np.array([[0xD450D8653459D86B], [0x9AB21290D1EB8FE7]], np.uint64)
_MIX_FIRST, _MIX_SECOND = np.uint64(0x5EF3F4DCCCA7B2C1), np.uint64(0x3C8C17F82B5C3331)


@dataclass(frozen=True, eq=False)
class Spelling:
    """The code points of each piece of a vocabulary, end to end.

    ``codes``: (P,) uint32; ``offsets``: (V+1,) int64, piece ``i`` is ``codes[offsets[i]:offsets[i+1]]``. U+2581 is a
    blank, the unknown piece is U+FFFD, and the byte ``b`` is 0x110000 + ``b``; pieces for control have none.
    """

    codes: Codes
    offsets: Offsets

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Spelling:
        """Return the spelling of the pieces of ``tokenizer``."""
        pieces, single = tokenizer.list_pieces(), tokenizer.list_bytes()
        spelled = [pieces.get(i, "") for i in range(len(tokenizer))]
        for i in (*single, tokenizer.unknown_id):
            spelled[i] = chr(UNKNOWN)
        offsets = make_offsets(np.fromiter(map(len, spelled), np.int64, len(spelled)))
        codes = np.frombuffer("".join(spelled).encode("utf-32-le"), "<u4").astype(np.uint32)
        for i, byte in single.items():
            codes[offsets[i]] = FIRST_BYTE + byte
        return cls(codes, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def hash_ngrams(
    ids: Ids, offsets: Offsets, spelling: Spelling, *, threads: int | None = None, library: bool = True
) -> tuple[Keys, Offsets]:
    """Return the keys of all n-grams of B texts, text after text, and where those of each text begin.

    Args:
        ids: (N,) int32, the pieces of all texts end to end.
        offsets: (B+1,) int64, text ``b`` is ``ids[offsets[b]:offsets[b+1]]``; a text may be empty.
        spelling: of the tokenizer that made ``ids``.
        threads: how many the C++ library uses at most; by default as many as prediction does.
        library: whether the C++ library computes it, where it is there; numpy gives the same.

    Returns:
        keys (K,) uint32, one for each occurrence, and their offsets (B+1,) int64. The order in a text: of each word its
        key, that of the pair that it ends, its windows by start and length; then the pair that ends the text, and the
        windows across words by start and length.

    Raises:
        ValueError: offsets that do not rise from 0 to N, or an id that ``spelling`` has not.
        MemoryError: there is not enough.
    """
    if library and native.is_available():
        return native.hash_ngrams(ids, offsets, (spelling.codes, spelling.offsets), threads=threads)
    check_texts(ids, offsets, spelling)
    return _Words.of(ids, offsets, spelling).hash()


def check_texts(ids: Ids, offsets: Offsets, spelling: Spelling) -> None:
    """Raise ValueError where offsets do not rise from 0 to N, or an id is not of ``spelling``."""
    steps = np.diff(offsets)
    if not len(offsets) or offsets[0] or offsets[-1] != len(ids) or (steps < 0).any():
        raise ValueError(native.REFUSED)
    if len(ids) and (ids.min() < 0 or ids.max() >= len(spelling)):
        raise ValueError(native.REFUSED)


@dataclass(frozen=True, eq=False)
class _Words:
    """The W words of B texts, each with a blank on both sides.

    ``codes``: (S,) uint32, all of them end to end; word ``w`` begins at ``starts[w]`` and has ``sizes[w]`` code points.
    ``bounds``: (B+1,) int64, text ``b`` has the words from ``bounds[b]`` on, to ``bounds[b+1]``.
    """

    codes: Codes
    starts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    bounds: Offsets

    @classmethod
    def of(cls, ids: Ids, offsets: Offsets, spelling: Spelling) -> _Words:
        lengths = np.diff(spelling.offsets)[ids]
        ends = make_offsets(lengths)
        codes = spelling.codes[np.arange(ends[-1]) + np.repeat(spelling.offsets[ids] - ends[:-1], lengths)]
        texts = ends[offsets]  # where each text begins among the code points
        solid = codes != BLANK
        apart = np.zeros(len(codes) + 1, np.bool_)  # whether a text begins here
        apart[texts] = True
        before = np.append(False, solid[:-1])[: len(codes)] & ~apart[:-1]
        starts = np.flatnonzero(solid & ~before)
        after = np.append(solid[1:], False)[: len(codes)] & ~apart[1:]
        sizes = np.flatnonzero(solid & ~after) + 1 - starts + 2
        padded = np.full(int(sizes.sum()), BLANK, np.uint32)
        inner = np.ones(len(padded), np.bool_)
        places = make_offsets(sizes)[:-1]
        inner[places] = inner[places + sizes - 1] = False
        padded[inner] = codes[solid]
        return cls(padded, places, sizes, np.searchsorted(starts, texts).astype(np.int64))

    def hash(self) -> tuple[Keys, Offsets]:
        W = len(self.starts)
        last = np.zeros(W, np.bool_)  # of its text
        last[self.bounds[1:][np.diff(self.bounds) > 0] - 1] = True
        # of the windows that begin at each code point, those of one blank alone are left out
        left = np.repeat(self.starts + self.sizes, self.sizes) - np.arange(len(self.codes))
        alone = left == 1
        alone[self.starts] = True
        windows = make_offsets(np.minimum(left, LONGEST) - alone)
        counts = 2 + last + windows[self.starts + self.sizes] - windows[self.starts]
        across, extra = self._hash_across(last)
        counts[last] += extra
        firsts = make_offsets(counts)
        keys = np.empty(int(firsts[-1]), np.uint32)
        hashes = self._hash_words()
        keys[firsts[:-1]] = _to_key(hashes) | np.uint32(WORDS)
        first = np.zeros(W, np.bool_)
        first[self.bounds[:-1][np.diff(self.bounds) > 0]] = True
        before = np.where(first, _BEGIN, np.append(_BEGIN, hashes[:-1])[:W])
        keys[firsts[:-1] + 1] = _hash_pairs(before, hashes)
        ends = firsts[1:][last] - extra
        keys[ends - 1] = _hash_pairs(hashes[last], _END)
        keys[np.repeat(ends - make_offsets(extra)[:-1], extra) + np.arange(len(across))] = across
        places = windows[:-1] + np.repeat(firsts[:-1] + 2 - windows[self.starts], self.sizes) - (alone & (left > 1))
        self._put_windows(keys, left=left, alone=alone, places=places)
        return keys, firsts[self.bounds]

    def _hash_words(self) -> Hashes:
        """Return the hash of each word (W,): the sum of (code + 1) * power^k, mixed."""
        if not len(self.starts):
            return np.zeros(0, np.uint64)
        inner = self.codes != BLANK
        sizes = self.sizes - 2
        starts = make_offsets(sizes)[:-1]
        powers = np.full(int(sizes.max()), _POWER, np.uint64)
        powers[0] = 1
        powers = np.multiply.accumulate(powers)
        terms = (self.codes[inner].astype(np.uint64) + np.uint64(1)) * powers[
            np.arange(int(sizes.sum())) - np.repeat(starts, sizes)
        ]
        return _mix(np.add.reduceat(terms, starts) + _WORD_SALT)

    def _hash_across(self, last: npt.NDArray[np.bool_]) -> tuple[Keys, npt.NDArray[np.int64]]:
        """Return the keys of windows across words, and how many each text has that has a word.

        ``last`` (W,) are the last words of their texts. Words that follow one another have one blank between them.
        """
        kept = np.ones(len(self.codes), np.bool_)
        kept[(self.starts + self.sizes - 1)[~last]] = False
        codes = self.codes[kept]
        ends = make_offsets((self.sizes - ~last).astype(np.int64))[1:][last]  # of the texts
        if not len(ends):
            return np.zeros(0, np.uint32), np.zeros(0, np.int64)
        places = np.arange(len(codes))
        text = np.searchsorted(ends, places, side="right")
        blanks = np.append(np.flatnonzero(codes == BLANK), len(codes))
        # the blank inside a window is neither its first code point nor its last
        shortest = blanks[np.searchsorted(blanks, places, side="right")] - places + 2
        shortest, longest = np.maximum(shortest, SHORTEST_ACROSS), np.minimum(ends[text] - places, LONGEST)
        firsts = make_offsets(np.maximum(0, longest - shortest + 1))
        keys = np.empty(int(firsts[-1]), np.uint32)
        for n, sums in _add_up_windows(codes):
            found = (shortest[: len(sums)] <= n) & (longest[: len(sums)] >= n)
            to = firsts[: len(sums)][found] + n - shortest[: len(sums)][found]
            keys[to] = _to_key(_mix(sums[found] + _ACROSS_SALT * np.uint64(n))) | np.uint32(ACROSS)
        return keys, np.diff(firsts[np.append(0, ends)])

    def _put_windows(
        self, keys: Keys, *, left: npt.NDArray[np.int64], alone: npt.NDArray[np.bool_], places: npt.NDArray[np.int64]
    ) -> None:
        """Write the keys of windows; those of ``n`` code points that begin at ``i`` to ``places[i] + n - 1``."""
        for n, sums in _add_up_windows(self.codes):
            there = left[: len(sums)] >= n
            if n == 1:
                there &= ~alone
            keys[places[: len(sums)][there] + n - 1] = _to_key(_mix(sums[there] + _SALT * np.uint64(n)))


def _add_up_windows(codes: Codes) -> Iterator[tuple[int, Hashes]]:
    """Yield n from 1 to LONGEST, and for the windows of n code points the sum of (code + 1) * power^k."""
    values = codes.astype(np.uint64) + np.uint64(1)
    sums, power = np.zeros(len(values), np.uint64), np.uint64(1)
    with np.errstate(over="ignore"):
        for n in range(1, min(LONGEST, len(values)) + 1):
            sums = sums[: len(values) - n + 1] + values[n - 1 :] * power
            power = power * _POWER
            yield n, sums


def _mix(hashes: Hashes) -> Hashes:
    """Return ``hashes`` with every bit spread over all others, in the steps of SplitMix64 (Steele, Lea, Flood 2014)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * _MIX_FIRST
    hashes = (hashes ^ (hashes >> np.uint64(27))) * _MIX_SECOND
    return hashes ^ (hashes >> np.uint64(31))


def _to_key(hashes: Hashes) -> Keys:
    return (hashes >> np.uint64(64 - KIND_BITS)).astype(np.uint32)


def _hash_pairs(first: Hashes, second: Hashes) -> Keys:
    return _to_key(_mix(first * _PAIR_FIRST + second * _PAIR_SECOND)) | np.uint32(WORDS)
