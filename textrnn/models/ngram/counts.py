"""The n-grams of texts and their counts, the choice of those that the model keeps, and the matrix of their features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from textrnn.data.batch import Rows, Texts, make_offsets
from textrnn.models.ngram.features import KIND_BITS, KINDS, WORDS, Keys, Spelling, hash_ngrams
from textrnn.models.ngram.table import FACTORS, Floats

MIN_TEXTS = 2
"""An n-gram of characters is kept if at least this many texts contain it."""

_CHUNK = 50_000  # tokens whose n-grams are merged at once
_CHUNK_ENTRIES = 1 << 20  # entries weighted at once


class NgramCounts:
    """The distinct n-grams of each of n texts and their counts.

    ``keys`` (K,) uint32 and ``counts`` (K,) int32; those of text ``b`` are ``bounds[b]:bounds[b+1]``.
    """

    def __init__(self, keys: Keys, counts: npt.NDArray[np.int32], bounds: npt.NDArray[np.int64]) -> None:
        self.keys, self.counts, self.bounds = keys, counts, bounds

    @classmethod
    def of(cls, texts: Texts, rows: Rows, spelling: Spelling) -> NgramCounts:
        """Return those of the texts with the indices ``rows``."""
        keys: list[Keys] = []
        counts: list[npt.NDArray[np.int32]] = []
        sizes: list[npt.NDArray[np.int64]] = []
        for part in split_into_chunks(texts.lengths[rows], _CHUNK):
            batch = texts.select(rows[part])
            found, bounds = hash_ngrams(batch.ids, batch.offsets, spelling)
            text = np.repeat(np.arange(len(batch), dtype=np.uint64), np.diff(bounds))
            merged, times = np.unique(text << np.uint64(32) | found, return_counts=True)
            keys.append(merged.astype(np.uint32))
            counts.append(times.astype(np.int32))
            sizes.append(np.bincount((merged >> np.uint64(32)).astype(np.int64), minlength=len(batch)))
        return cls(np.concatenate(keys), np.concatenate(counts), make_offsets(np.concatenate(sizes)))

    def select_keys(self, limit: int, *, report: Callable[[str], None]) -> tuple[Keys, Floats]:
        """Return the keys (F,) of the table, rising, and their inverse document frequencies.

        With more than ``limit`` keys, the most frequent are kept, and ``report`` receives a note. The idf is
        log((1 + n) / (1 + df)) + 1, where df of n texts have the n-gram: scikit-learn's smooth idf.
        """
        keys, texts = np.unique(self.keys, return_counts=True)
        kept = (keys >= WORDS) | (texts >= MIN_TEXTS)
        keys, texts = keys[kept], texts[kept]
        if len(keys) > limit:
            report(f"n-grams: the {limit:,} most frequent of {len(keys):,}; more would make the model file too large")
            commonest = np.sort(np.argsort(-texts, kind="stable")[:limit])
            keys, texts = keys[commonest], texts[commonest]
        n = len(self.bounds) - 1
        return keys, (np.log((1 + n) / (1 + texts)) + 1).astype(np.float32)

    def to_matrix(self, keys: Keys, idf: Floats) -> csr_matrix:
        """Return the features (n, F) float32 of the texts.

        An entry is the factor of the kind times count * idf / sqrt(sum of count * idf^2 over the kind).
        """
        n, filled = len(self.bounds) - 1, 0
        data, columns = np.empty(len(self.keys), np.float32), np.empty(len(self.keys), np.int32)
        sizes, index = np.diff(self.bounds), _KeyIndex(keys)
        for part in split_into_chunks(sizes, _CHUNK_ENTRIES):
            entries = slice(self.bounds[part.start], self.bounds[part.stop])
            places, found = index.find(self.keys[entries])
            text = np.repeat(np.arange(part.start, part.stop), sizes[part])[found]
            places, counts = places[found], self.counts[entries][found]
            kinds = keys[places] >> np.uint32(KIND_BITS)
            group = (text - part.start) * KINDS + kinds
            values = idf[places].astype(np.float64)
            norms = np.sqrt(np.bincount(group, counts * np.square(values)))
            put = slice(filled, filled + len(places))
            data[put], columns[put] = np.take(FACTORS, kinds) * counts * values / norms[group], places
            sizes[part] = np.bincount(text - part.start, minlength=part.stop - part.start)
            filled = put.stop
        bounds = make_offsets(sizes).astype(np.int32)
        return csr_matrix((data[:filled], columns[:filled], bounds), shape=(n, len(keys)))


class _KeyIndex:
    """An index of the places of ``keys`` (F,), rising and not empty, by their upper bits.

    Keys are hashes, so about one has the same upper bits. This is ten times as fast as a binary search, which misses
    the processor's cache at each step.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys, bits = keys, min(22, len(keys).bit_length())
        self._shift = np.uint32(32 - bits)
        self._starts = np.searchsorted(keys, np.arange(1 << bits, dtype=np.uint32) << self._shift).clip(
            max=len(keys) - 1
        )

    def find(self, keys: Keys) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return the place of each of ``keys`` (n,), and whether it is there."""
        places = self._starts[keys >> self._shift]
        behind = np.arange(len(keys))
        while len(behind):
            behind = behind[(self._keys[places[behind]] < keys[behind]) & (places[behind] < len(self._keys) - 1)]
            places[behind] += 1
        return places, self._keys[places] == keys


def split_into_chunks(sizes: npt.NDArray[Any], limit: int) -> Iterator[slice]:
    """Yield slices of texts whose ``sizes`` add up to at most ``limit``, or of one text."""
    ends = make_offsets(sizes.astype(np.int64))
    start = 0
    while start < len(sizes):
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + limit, side="right")) - 1)
        yield slice(start, stop)
        start = stop
