"""Bootstrap of labelled texts: metrics on texts drawn with replacement.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993. Texts of one kind, such as those with the same true and
predicted labels, are alike. So the number of each kind is drawn from a multinomial distribution, and the cost depends
on the number of kinds, not on that of texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_BLOCK = 1 << 22  # numbers held at once

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def draw_counts(
    counts: Integers, rng: np.random.Generator, *, resamples: int, width: int = 0
) -> Iterator[tuple[slice, Floats]]:
    """Yield rows of ``resamples`` with the drawn number of texts of each kind (rows, K), given their ``counts`` (K,).

    ``width`` is the number of columns that the caller makes of a row; it limits the rows held at once.
    """
    total = int(counts.sum())
    step = max(1, _BLOCK // max(len(counts), width))
    for start in range(0, resamples, step):
        rows = slice(start, min(resamples, start + step))
        yield rows, rng.multinomial(total, counts / total, size=rows.stop - rows.start).astype(np.float64)


def measure_macro_f1(weights: Floats, true: csr_array, predicted: csr_array) -> Floats:
    """Return the macro F1 (R,) over the labels that occur or were predicted, as in scikit-learn.

    ``weights`` (R, K) are the numbers of texts of each kind; ``true`` and ``predicted`` (K, C) have 1 for the labels
    of each.
    """
    hits = np.asarray(weights @ true.multiply(predicted))
    totals = np.asarray(weights @ (true + predicted))
    macro_f1: Floats = (2 * hits / np.maximum(totals, 1)).sum(axis=1) / np.maximum((totals > 0).sum(axis=1), 1)
    return macro_f1


def encode_classes(classes: Integers, C: int) -> csr_array:
    """Return the one-hot matrix (K, C) of ``classes`` (K,)."""
    K = len(classes)
    from scipy.sparse import csr_array  # noqa: PLC0415 - the model card does not need it

    return csr_array((np.ones(K), classes, np.arange(K + 1)), shape=(K, C))
