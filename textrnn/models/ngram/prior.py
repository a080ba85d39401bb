"""The n-gram model of an initial model as the prior of a new one, which is fitted to new text alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from textrnn.models.ngram.features import Keys
from textrnn.models.ngram.table import Floats, NgramTable

_NO_BIAS = -20.0  # of a class that nothing is known about: a logit of odds of about 1e-9


class PriorLogit(NamedTuple):
    """The old logit of one regression: its value for each text ``column`` (n,), ``weight`` (F,) and ``bias``.

    ``changes`` collects the factor of the old logit and the intercept of each regression.
    """

    column: Floats
    weight: Floats
    bias: float
    changes: list[tuple[float, float]]

    def append_to(self, x: csr_matrix) -> csr_matrix:
        """Return the features ``x`` (n, F) with the logit as a last column (n, F+1)."""
        n, F = x.shape
        indices = np.insert(x.indices, x.indptr[1:], F).astype(np.int32)
        data = np.insert(x.data, x.indptr[1:], self.column)
        return csr_matrix((data, indices, x.indptr + np.arange(n + 1, dtype=x.indptr.dtype)), shape=(n, F + 1))

    def merge(self, coefficients: npt.NDArray[np.float64], intercept: float) -> tuple[npt.NDArray[np.float64], float]:
        """Return the weights (F,) and the bias of a regression with ``coefficients`` (F+1,) and ``intercept``."""
        factor = float(coefficients[-1])
        self.changes.append((factor, intercept))
        return coefficients[:-1] + factor * self.weight, intercept + factor * self.bias


@dataclass(frozen=True, eq=False)
class Prior:
    """An earlier table over F n-grams for C classes; ``known`` (C,) bool marks the classes that it has.

    A regression on new texts gets the old logit as one more feature, whose weight the penalty hardly touches. The
    merged table, that weight times the old weights plus the new ones, gives what was fitted: the features are computed
    with its own keys and idf. So the penalty pulls the weights to a multiple of the old ones instead of to 0.
    """

    keys: Keys
    idf: Floats
    weight: Floats
    bias: Floats
    known: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, table: NgramTable, columns: Sequence[int], classes: int) -> Prior:
        """Return that of ``table``, whose classes are the ``columns`` of ``classes`` in the new one."""
        weight, bias = np.zeros((len(table.keys), classes), np.float32), np.full(classes, _NO_BIAS, np.float32)
        known = np.zeros(classes, np.bool_)
        weight[:, columns], bias[list(columns)], known[list(columns)] = table.weight, table.bias, True
        return cls(table.keys, table.idf, weight, bias, known)

    def to_table(self) -> NgramTable:
        """Return a table of the old weights; new classes get none, and next to no probability."""
        return NgramTable(self.keys, self.idf, self.weight, self.bias)

    def extend(self, keys: Keys, idf: Floats, *, limit: int) -> Prior:
        """Return the prior over its own n-grams and the new ``keys`` (K,) with their ``idf``, at most ``limit``.

        Old n-grams keep their idf. Those with the largest weights come first, then the most frequent new ones.
        """
        old = np.sort(np.argsort(-np.abs(self.weight).max(axis=1), kind="stable")[:limit])
        is_new = ~np.isin(keys, self.keys[old])
        keys, idf = keys[is_new], idf[is_new]
        chosen = np.argsort(idf, kind="stable")[: limit - len(old)]
        merged = np.concatenate([self.keys[old], keys[chosen]])
        order = np.argsort(merged, kind="stable")
        weight = np.concatenate([self.weight[old], np.zeros((len(chosen), self.weight.shape[1]), np.float32)])
        own_idf = np.concatenate([self.idf[old], idf[chosen]])
        return Prior(merged[order], own_idf[order], weight[order], self.bias, self.known)


class PriorLogits:
    """The old logits of n texts whose features, by the n-grams of the ``prior``, are ``x`` (n, F)."""

    def __init__(self, prior: Prior, x: csr_matrix) -> None:
        self._prior, self._x = prior, x
        self._changes: list[tuple[float, float]] = []

    @property
    def known(self) -> npt.NDArray[np.int64]:
        """The old classes."""
        return np.flatnonzero(self._prior.known)

    def of(self, label: int) -> PriorLogit | None:
        """Return the old logit of a class or label, or None if it is new."""
        prior = self._prior
        return self._make(prior.weight[:, label], prior.bias[label]) if prior.known[label] else None

    def between(self, first: int, second: int) -> PriorLogit:
        """Return the old logit of the class ``second`` less that of ``first``, which are both known."""
        prior = self._prior
        return self._make(prior.weight[:, second] - prior.weight[:, first], prior.bias[second] - prior.bias[first])

    def keep_missing(self, weight: Floats, bias: Floats, *, present: npt.NDArray[np.int64]) -> None:
        """Write the weights of old classes without a text into ``weight`` (F, C) and ``bias`` (C,).

        Their old logits change by the mean factor and intercept of those of the classes that are ``present``.
        """
        missing = np.setdiff1d(self.known, present)
        factor, intercept = np.mean(self._changes or [(1.0, 0.0)], axis=0)
        weight[:, missing] = factor * self._prior.weight[:, missing]
        bias[missing] = factor * self._prior.bias[missing] + intercept

    def _make(self, weight: Floats, bias: Any) -> PriorLogit:
        return PriorLogit((self._x @ weight + bias).astype(np.float32), weight, float(bias), self._changes)
