"""A fitted linear model over n-grams, and the logits that it gives to texts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Ids, Offsets
from textrnn.lazy import lazy_property
from textrnn.models.ngram.features import (
    KIND_BITS,
    KINDS,
    Keys,
    Spelling,
    check_texts,
    hash_ngrams,
    native_arguments,
)
from textrnn.native import functions
from textrnn.native.library import is_available

Floats = npt.NDArray[np.float32]

FACTORS = (1.0, 0.5, 1.0)
"""Weight of each kind of n-gram: windows inside a word, windows across words, words."""

_KEYS_PER_TOKEN = 512  # a hash table of this many keys takes about as long to build as one token to score without it


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
            raise ValueError("the shapes of the n-gram table do not fit")
        floats = (self.idf, self.weight, self.bias)
        if self.keys.dtype != np.uint32 or any(array.dtype != np.float32 for array in floats):
            raise ValueError("the n-gram table needs keys of uint32 and numbers of float32")
        if (self.keys[1:] <= self.keys[:-1]).any():
            raise ValueError("the keys of the n-gram table do not rise")
        if not all(np.isfinite(array).all() for array in floats) or not self._has_finite_values():
            raise ValueError("a number of the n-gram table is not finite, or too large")

    def scale(self, factor: float) -> NgramTable:
        """Return a table whose logits are ``factor`` times as large."""
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
        """Return the logits (B, C) float32 of B packed texts: :meth:`forward_keys` of the n-grams of each text.

        The C++ library gives the same bits. It needs a hash table of the keys, which is not worth building for the
        first few tokens: a process may score a single line. The logits of a text do not depend on other texts, nor on
        ``threads``. Without ``library``, all is computed in Python and numpy.

        Raises:
            ValueError: offsets that do not rise from 0 to N, or an id outside the vocabulary of ``spelling``.
            MemoryError: there is not enough memory.
        """
        logits = np.empty((max(0, len(offsets) - 1), len(self.bias)), np.float32)
        if library and is_available() and self._is_worth_slots(len(ids)) and self._slots is not None:
            arguments = native_arguments(ids, offsets, spelling, threads=threads)
            bias = np.ascontiguousarray(self.bias)
            functions.ngram_logits(**arguments, slots=self._slots, values=self._values, bias=bias, logits=logits)
            return logits
        check_texts(ids, offsets, spelling)
        for text, (start, stop) in enumerate(pairwise(offsets.tolist())):
            bounds = np.array([0, stop - start])
            logits[text] = self.forward_keys(
                hash_ngrams(ids[start:stop], bounds, spelling, threads=threads, library=library)[0]
            )
        return logits

    def forward_keys(self, keys: Keys) -> Floats:
        """Return the logits (C,) of a text whose n-grams have ``keys`` (K,), one for each occurrence.

        The logits are bias + the sum over the three kinds of n-grams of

            FACTORS[kind] * sum(idf * weight) / sqrt(sum(idf**2))

        with sums over the occurrences of that kind that are in the table, in their order and in float64.
        """
        logits = self.bias.astype(np.float64)
        if not len(self.keys):
            return self.bias
        rows = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        known = self.keys[rows] == keys
        rows, kinds = rows[known], keys[known] >> np.uint32(KIND_BITS)
        values = _occurrence_values(self.idf[rows], self.weight[rows])
        squares, *sums = [np.bincount(kinds, column, minlength=KINDS) for column in values.T]
        norms = np.sqrt(np.where(squares > 0, squares, 1))
        for kind in reversed(range(KINDS)):
            logits += FACTORS[kind] * (np.array([column[kind] for column in sums]) / norms[kind])
        return logits.astype(np.float32)

    @lazy_property
    def _values(self) -> Floats:
        return _occurrence_values(self.idf, self.weight)

    @lazy_property
    def _slots(self) -> npt.NDArray[np.uint64] | None:
        return build_slots(self.keys)

    def _is_worth_slots(self, tokens: int) -> bool:
        """Count ``tokens`` to be scored, and return whether the total justifies building the hash table."""
        seen = self.__dict__.get("_seen", 0) + tokens  # a race between threads loses a few, which does no harm
        self.__dict__["_seen"] = seen
        return bool(seen * _KEYS_PER_TOKEN >= len(self.keys))

    def _has_finite_values(self) -> bool:
        with np.errstate(over="ignore"):
            idf, weight = (np.abs(array).max(initial=0) for array in (self.idf, self.weight))
            # the product of the two largest bounds all others; only if it overflows, each product is checked
            return bool(np.isfinite([idf * idf, idf * weight]).all() or np.isfinite(self._values).all())


def build_slots(keys: Keys) -> npt.NDArray[np.uint64] | None:
    """Return a hash table (S,) of ``keys`` (F,), or None if their crowding would make it slow."""
    slots = np.zeros(max(16, 1 << (4 * len(keys) - 1).bit_length()), np.uint64)
    try:
        functions.ngram_slots(keys=np.ascontiguousarray(keys, np.uint32), slots=slots, threads=1)
    except ValueError:
        return None
    return slots


def _occurrence_values(idf: Floats, weight: Floats) -> Floats:
    """Return what an occurrence adds to the sums, idf^2 and idf * weight: (n, 1+C), C-contiguous."""
    values = np.empty((len(idf), 1 + weight.shape[1]), np.float32)
    np.multiply(idf, idf, out=values[:, 0])
    np.multiply(idf[:, None], weight, out=values[:, 1:])
    return values
