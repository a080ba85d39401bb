"""A fitted linear model over n-grams, and the scores that it gives to texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Ids, Offsets
from textrnn.models.ngram import native
from textrnn.models.ngram.features import KIND_BITS, KINDS, Keys, Spelling, check_texts, hash_ngrams

Floats = npt.NDArray[np.float32]

FACTORS = (1.0, 0.5, 1.0)
"""What the sums of each kind are multiplied by: characters of a word, characters across words, words."""

_CODES = 1 << 18  # code points that numpy looks at together
_PATIENCE = 512  # n-grams of a table for each piece that is scored before the library's own table is worth making


@dataclass(frozen=True, eq=False)
class NgramTable:
    """The weights of F n-grams for C classes.

    ``keys``: (F,) uint32, rising; ``idf``: (F,) float32; ``weight``: (F, C) float32; ``bias``: (C,) float32.

    Raises:
        ValueError: the shapes or dtypes do not fit, keys do not rise, or a number is not finite.
    """

    keys: Keys
    idf: Floats
    weight: Floats
    bias: Floats

    def __post_init__(self) -> None:
        F, C = self.keys.size, self.bias.size
        if self.keys.shape != (F,) or self.idf.shape != (F,) or self.weight.shape != (F, C) or self.bias.shape != (C,):
            raise ValueError("the shapes of an n-gram table do not fit")
        floats = (self.idf, self.weight, self.bias)
        if self.keys.dtype != np.uint32 or any(array.dtype != np.float32 for array in floats):
            raise ValueError("an n-gram table has keys of uint32 and numbers of float32")
        if (self.keys[1:] <= self.keys[:-1]).any():
            raise ValueError("the keys of an n-gram table do not rise")
        if not all(np.isfinite(array).all() for array in floats) or not self._has_finite_values():
            raise ValueError("a number of an n-gram table is not finite, or too large")

    def scale(self, factor: float) -> NgramTable:
        """Return a table whose scores are ``factor`` times as large."""
        return NgramTable(self.keys, self.idf, self.weight * np.float32(factor), self.bias * np.float32(factor))

    def forward(
        self,
        ids: Ids,
        offsets: Offsets,
        spelling: Spelling,
        *,
        threads: int | None = None,
        library: bool = True,
    ) -> Floats:
        """Return the logits (B, C) float32 of the B texts that ``ids`` and ``offsets`` hold.

        Of each kind of n-gram, the occurrences in the table give the sum of idf * weight, divided by the square root of
        the sum of idf^2; times the kind's factor it is added to the bias. A text's scores do not depend on the others,
        nor on ``threads``. The C++ library and numpy (``library=False``, or where the library is not) give the same; so
        does looking keys up by halves, which is done for the first texts: they may be all that there are, and the
        library's table would take longer to make.

        Raises:
            ValueError: offsets that do not rise from 0 to N, or an id that ``spelling`` has not.
            MemoryError: there is not enough.
        """
        if library and native.is_available() and self._is_worth_slots(len(ids)) and self._slots is not None:
            table = (self._slots, self._values, np.ascontiguousarray(self.bias))
            return native.ngram_logits(ids, offsets, (spelling.codes, spelling.offsets), table=table, threads=threads)
        check_texts(ids, offsets, spelling)
        logits = np.empty((len(offsets) - 1, len(self.bias)), np.float32)
        ends = np.append(0, np.cumsum(np.diff(spelling.offsets)[ids]))[offsets]
        start = 0
        while start < len(logits):
            stop = max(start + 1, int(np.searchsorted(ends, ends[start] + _CODES, side="right")) - 1)
            first, last = offsets[start], offsets[stop]
            keys, bounds = hash_ngrams(
                ids[first:last], offsets[start : stop + 1] - first, spelling, threads=threads, library=library
            )
            logits[start:stop] = self._add_up(keys, bounds)
            start = stop
        return logits

    def _add_up(self, keys: Keys, bounds: Offsets) -> Floats:
        """Return the scores of texts with these n-grams; each sum goes in order and in float64, as in the library."""
        B, C = len(bounds) - 1, len(self.bias)
        logits = np.tile(self.bias.astype(np.float64), (B, 1))
        if len(self.keys):
            rows = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
            found = self.keys[rows] == keys
            rows, kinds = rows[found], (keys[found] >> np.uint32(KIND_BITS)).astype(np.int64)
            group = np.repeat(np.arange(B), np.diff(bounds))[found] * KINDS + kinds
            sums = np.empty((1 + C, B, KINDS))
            for column, values in enumerate(_join(self.idf[rows], self.weight[rows]).T):
                sums[column] = np.bincount(group, values, minlength=B * KINDS).reshape(B, KINDS)
            norms = np.sqrt(sums[0])
            norms[norms == 0] = 1
            for kind in reversed(range(KINDS)):
                logits += FACTORS[kind] * (sums[1:, :, kind] / norms[:, kind]).T
        return logits.astype(np.float32)

    @cached_property
    def _values(self) -> Floats:
        """(F, 1+C) float32: what an occurrence adds, idf^2 and idf * weight."""
        return _join(self.idf, self.weight)

    @cached_property
    def _slots(self) -> npt.NDArray[np.uint64] | None:
        return native.build_slots(self.keys)

    def _is_worth_slots(self, pieces: int) -> bool:
        """Count ``pieces`` that are to be scored, and return whether it has been enough of them."""
        seen = self.__dict__.get("_seen", 0) + pieces  # threads that count at once lose some, which is as well
        self.__dict__["_seen"] = seen
        return bool(seen * _PATIENCE >= len(self.keys))

    def _has_finite_values(self) -> bool:
        with np.errstate(over="ignore"):
            idf, weight = (np.abs(array).max(initial=0) for array in (self.idf, self.weight))
            # no product is larger than that of the largest, and where this is too large it need not be one of them
            return bool(np.isfinite([idf * idf, idf * weight]).all() or np.isfinite(self._values).all())


def _join(idf: Floats, weight: Floats) -> Floats:
    """Return idf^2 and idf * weight (n, 1+C) of n-grams with ``idf`` (n,) and ``weight`` (n, C), in C order."""
    values = np.empty((len(idf), 1 + weight.shape[1]), np.float32)
    np.multiply(idf, idf, out=values[:, 0])
    np.multiply(idf[:, None], weight, out=values[:, 1:])
    return values
