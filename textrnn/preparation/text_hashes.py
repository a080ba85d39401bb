"""Hashes of encoded texts, by which a text is recognized in another file or another month."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import PackedBatch
from textrnn.data.encoded import Corpus

Hashes = npt.NDArray[np.uint64]

_BLOCK = 1 << 14  # texts that are hashed together
_BLOCK_IDS = 1 << 21  # their ids, which take 28 bytes each
_POSITIONS = 1 << 20  # further positions have the numbers of the first again


class TextHasher:
    """Hashes texts by their tokens and positions: the sum of products of a number of each, modulo 2**64.

    Model files hold such hashes (:class:`textrnn.serialization.validation_record.ValidationRecord`), so the numbers
    must stay as they are. ``vocab_size`` is that of the tokenizer, ``longest`` the number of ids of the longest text.
    """

    def __init__(self, vocab_size: int, longest: int) -> None:
        self._of_token = _spread(np.arange(1, vocab_size + 1, dtype=np.uint64))
        positions = np.arange(1, min(longest, _POSITIONS) + 1, dtype=np.uint64)
        self._of_position = _spread(positions << np.uint64(32)) | np.uint64(1)

    @classmethod
    def of(cls, corpus: Corpus, vocab_size: int) -> TextHasher:
        """Return a hasher for the texts of ``corpus``."""
        return cls(vocab_size, int(corpus.lengths.max(initial=1)))

    def hash(self, batch: PackedBatch) -> Hashes:
        """Return the hash (B,) uint64 of each text; none may be empty."""
        starts = batch.offsets[:-1]
        position = (np.arange(len(batch.ids)) - np.repeat(starts, batch.lengths)) % len(self._of_position)
        hashes: Hashes = np.add.reduceat(self._of_token[batch.ids] * self._of_position[position], starts)
        return hashes

    def hash_all(self, corpus: Corpus) -> Hashes:
        """Return the hash (B,) uint64 of each text of a corpus."""
        hashes = np.empty(len(corpus), np.uint64)
        start = 0
        while start < len(corpus):
            filled = np.cumsum(corpus.lengths[start : start + _BLOCK], dtype=np.int64)
            stop = start + max(1, int(np.searchsorted(filled, _BLOCK_IDS, side="right")))
            hashes[start:stop] = self.hash(corpus.select(np.arange(start, stop)))
            start = stop
        return hashes


def _spread(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread each bit over all others: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    x = x * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
