"""The texts that the n-gram model is fitted to: all of them, up to limits of time and memory."""

from __future__ import annotations

import numpy as np

from textrnn.data.batch import Rows, Texts
from textrnn.models.ngram.counts import NgramCounts
from textrnn.models.ngram.features import Spelling

EXACT_TOKENS, EXACT_NGRAMS, EXACT_WORK = 2_000_000, 40_000_000, 400_000_000
"""Up to these numbers of tokens, of their n-grams, and of n-grams times regressions, the fit is exact."""
MAX_TOKENS = 10_000_000
"""Larger training sets are sampled down to this number of tokens, which bounds the time to count n-grams."""
MAX_ENTRIES, MAX_WORK = 110_000_000, 1_000_000_000
"""Limits of the non-zero entries of the matrix, at 16 bytes each while they are counted, and of entries times
regressions.

Texts are sampled down to stay below both.
"""

_PROBED = 1000  # texts from which the numbers of n-grams and entries for each token are estimated


def draw_sample(texts: Texts, spelling: Spelling, *, rows: Rows, regressions: int, seed: int) -> tuple[Rows, bool]:
    """Return those of ``rows``, rising, that are fitted, and whether these are all and few enough for an exact fit.

    The numbers of n-grams and of entries, the distinct n-grams of each text, are estimated from 1,000 texts.
    """
    if not len(rows):
        return rows, True
    shuffled = np.random.default_rng(seed % 2**32).permutation(rows)
    probed = np.sort(shuffled[:_PROBED])
    found, probed_tokens = NgramCounts.of(texts, probed, spelling), max(1, int(texts.lengths[probed].sum()))
    tokens = np.cumsum(texts.lengths[shuffled], dtype=np.int64)
    ngrams_per_token = max(1, int(found.counts.sum()) / probed_tokens)
    if tokens[-1] <= min(EXACT_TOKENS, int(min(EXACT_NGRAMS, EXACT_WORK / regressions) / ngrams_per_token)):
        return np.sort(rows), True
    entries_per_token = max(1, len(found.keys) / probed_tokens)
    limit = min(MAX_TOKENS, int(min(MAX_ENTRIES, MAX_WORK / regressions) / entries_per_token))
    return np.sort(shuffled[: np.searchsorted(tokens, limit, side="right")]), False
