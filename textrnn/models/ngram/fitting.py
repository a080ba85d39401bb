"""Fitting the linear model over n-grams, by scikit-learn; only training imports this."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from textrnn.data.batch import Rows, Texts, make_offsets
from textrnn.models.ngram.features import KIND_BITS, KINDS, WORDS, Keys, Spelling, hash_ngrams
from textrnn.models.ngram.table import FACTORS, Floats, NgramTable

MOST_PIECES = 2_000_000
"""Of more text than this so much is drawn."""
MOST_ENTRIES, MOST_WORK = 40_000_000, 400_000_000
"""The most non-zero entries of the matrix that is fitted, and of these times the regressions; of more less is drawn.

An entry takes some 40 bytes during the fit.
"""
MOST_KEYS, MOST_WEIGHTS = 1 << 21, 1 << 24
"""The most n-grams of a table, and the most weights of all its classes."""
LEAST_TEXTS = 2
"""An n-gram of characters counts where so many texts have it."""
PENALTY = 0.1
"""Of the squared weights: 1 / C of scikit-learn's LogisticRegression."""

_TOLERANCE, _MOST_PASSES = 1e-2, 100
_LEAST_WEIGHT = 1e-9  # of a text: with all of a class at 0 the solver would take the class for none
_CHUNK = 50_000  # pieces of the texts whose n-grams are merged together
_CHUNK_ENTRIES = 1 << 20  # that are weighed together
_PROBED = 1000  # texts that say how many n-grams a piece has

Weights = npt.NDArray[Any]


def fit_ngrams(
    texts: Texts,
    spelling: Spelling,
    *,
    classes: int,
    targets: npt.NDArray[Any],
    find_labels: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.bool_]] | None = None,
    weights: Weights | tuple[Weights, Weights] | None = None,
    penalty: float = PENALTY,
    seed: int,
) -> NgramTable | None:
    """Fit a table to B texts: a logistic regression for each label, or for each of more than two classes.

    Args:
        texts: B of them.
        spelling: of the tokenizer that made their ids.
        classes: how many classes or labels there are, C.
        targets: the class of each text (B,) int64, where a text of class -1 does not count; or of several labels a text
            which it has (B, C) bool.
        find_labels: makes of classes (b,) the labels (b, C) of texts that have several: only those of texts that are
            drawn need be in memory.
        weights: how much a text of each class counts (C,); or of several labels a pair of (C,): how much a text counts
            that has the label, and one that lacks it.
        penalty: the loss is the sum of the texts' losses, and half of ``penalty`` times the sum of squared weights.
        seed: of what is drawn; the same arguments give the same table.

    Returns:
        The table, or None where nothing can be learned: no two classes, or no label that some texts have and others
        lack, or no n-gram. A class that no text has gets no weights, and a bias such that its probability in a text
        without known n-grams is 1 / (n + 1 + m), where n is the number of texts and m that of such classes; a label
        that k of n texts have, none or all, has the score log((k + 1) / (n - k + 1)) everywhere. Both follow from
        Laplace's rule of succession.

    Of more than 2,000,000 pieces, or so many that the entries of the matrix would be more than 4e7, or these times the
    regressions more than 4e8, texts are drawn. How many entries there are for each piece is estimated from the n-grams
    of 1,000 texts; equal ones in a text count as several, though they are one entry.
    """
    rows = _draw(texts, spelling, targets=targets, classes=classes, seed=seed)
    targets = targets[rows] if find_labels is None else find_labels(targets[rows])
    if not _says_something(targets):
        return None
    counts = _Counts.of(texts, rows, spelling)
    keys, idf = counts.choose(min(MOST_KEYS, MOST_WEIGHTS // classes))
    if not len(keys):
        return None
    x = counts.weigh(keys, idf)
    del counts
    if targets.ndim == 2:
        weight, bias = _fit_labels(x, targets, weights=weights, penalty=penalty, seed=seed)
    else:
        weight, bias = _fit_classes(x, targets, classes=classes, weights=weights, penalty=penalty, seed=seed)
    return NgramTable(keys, idf, weight, bias)


def _says_something(targets: npt.NDArray[Any]) -> bool:
    if not len(targets):
        return False
    if targets.ndim == 2:
        return bool((targets.any(axis=0) & ~targets.all(axis=0)).any())
    return bool((targets != targets[0]).any())


def _draw(texts: Texts, spelling: Spelling, *, targets: npt.NDArray[Any], classes: int, seed: int) -> Rows:
    """Return the rows, rising, of the texts that are fitted to."""
    rows = np.arange(len(texts)) if targets.ndim == 2 else np.flatnonzero(targets >= 0)
    lengths = texts.lengths
    if not len(rows):
        return rows
    drawn = np.random.default_rng(seed % 2**32).permutation(rows)
    probed = texts.select(np.sort(drawn[:_PROBED]))
    ngrams = len(hash_ngrams(probed.ids, probed.offsets, spelling)[0])
    rate = max(1, ngrams / max(1, len(probed.ids)))
    regressions = 1 if targets.ndim == 1 and classes == 2 else classes
    most = min(MOST_PIECES, int(min(MOST_ENTRIES, MOST_WORK / regressions) / rate))
    filled = np.cumsum(lengths[drawn], dtype=np.int64)
    return np.sort(drawn[: np.searchsorted(filled, most, side="right")])


class _Counts:
    """How often each of n texts has each of its n-grams.

    ``keys`` (K,) uint32 and ``counts`` (K,) int32, text ``b`` has those from ``bounds[b]`` on, to ``bounds[b+1]``.
    """

    def __init__(self, keys: Keys, counts: npt.NDArray[np.int32], bounds: npt.NDArray[np.int64]) -> None:
        self.keys, self.counts, self.bounds = keys, counts, bounds

    @classmethod
    def of(cls, texts: Texts, rows: Rows, spelling: Spelling) -> _Counts:
        keys: list[Keys] = []
        counts: list[npt.NDArray[np.int32]] = []
        sizes: list[npt.NDArray[np.int64]] = []
        for part in _cut(texts.lengths[rows], _CHUNK):
            batch = texts.select(rows[part])
            found, bounds = hash_ngrams(batch.ids, batch.offsets, spelling)
            text = np.repeat(np.arange(len(batch), dtype=np.uint64), np.diff(bounds))
            merged, times = np.unique(text << np.uint64(32) | found, return_counts=True)
            keys.append(merged.astype(np.uint32))
            counts.append(times.astype(np.int32))
            sizes.append(np.bincount((merged >> np.uint64(32)).astype(np.int64), minlength=len(batch)))
        return cls(np.concatenate(keys), np.concatenate(counts), make_offsets(np.concatenate(sizes)))

    def choose(self, most: int) -> tuple[Keys, Floats]:
        """Return the keys (F,) that a table has, rising, at most ``most``, and their inverse document frequencies.

        These are log((1 + n) / (1 + df)) + 1, where df of n texts have the n-gram: scikit-learn's smooth idf.
        """
        keys, texts = np.unique(self.keys, return_counts=True)
        kept = (keys >= WORDS) | (texts >= LEAST_TEXTS)
        keys, texts = keys[kept], texts[kept]
        if len(keys) > most:
            commonest = np.sort(np.argsort(-texts, kind="stable")[:most])
            keys, texts = keys[commonest], texts[commonest]
        n = len(self.bounds) - 1
        return keys, (np.log((1 + n) / (1 + texts)) + 1).astype(np.float32)

    def weigh(self, keys: Keys, idf: Floats) -> csr_matrix:
        """Return what a table's weights are multiplied with (n, F) float32.

        An n-gram's entry is count * idf, divided by the root of the sum of count * idf^2 over those of its kind, times
        the kind's factor.
        """
        n, filled = len(self.bounds) - 1, 0
        data, columns = np.empty(len(self.keys), np.float32), np.empty(len(self.keys), np.int32)
        sizes = np.diff(self.bounds)
        for part in _cut(sizes, _CHUNK_ENTRIES):
            entries = slice(self.bounds[part.start], self.bounds[part.stop])
            places = np.searchsorted(keys, self.keys[entries]).clip(max=len(keys) - 1)
            found = keys[places] == self.keys[entries]
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


def _cut(sizes: npt.NDArray[Any], most: int) -> Iterator[slice]:
    """Yield runs of texts of these ``sizes``, of ``most`` together at most, or one text."""
    ends = make_offsets(sizes.astype(np.int64))
    start = 0
    while start < len(sizes):
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + most, side="right")) - 1)
        yield slice(start, stop)
        start = stop


def _fit_classes(
    x: csr_matrix, true: npt.NDArray[Any], *, classes: int, weights: Any, penalty: float, seed: int
) -> tuple[Floats, Floats]:
    weight, bias = np.zeros((x.shape[1], classes), np.float32), np.zeros(classes, np.float32)
    there = np.unique(true)
    sample = None if weights is None else np.asarray(weights)[true]
    fit = partial(_regress, x, sample=sample, penalty=penalty, seed=seed)
    if len(there) == 2:  # the score of the second class less that of the first
        w, b = fit(true == there[1])
        weight[:, there], bias[there] = np.stack([-w / 2, w / 2], axis=1), (-b / 2, b / 2)
    else:
        for c in there:
            weight[:, c], bias[c] = fit(true == c)
        weight[:, there] -= weight[:, there].mean(axis=1, keepdims=True)  # which changes no probability
    missing = np.setdiff1d(np.arange(classes), there)
    bias[missing] = np.logaddexp.reduce(bias[there].astype(np.float64)) - math.log(len(true) + 1)
    return weight, bias


def _fit_labels(
    x: csr_matrix, has: npt.NDArray[Any], *, weights: Any, penalty: float, seed: int
) -> tuple[Floats, Floats]:
    n, C = has.shape
    weight, bias = np.zeros((x.shape[1], C), np.float32), np.zeros(C, np.float32)
    for label, own in enumerate(has.T):
        k = int(own.sum())
        if k in {0, n}:
            bias[label] = math.log((k + 1) / (n - k + 1))
            continue
        sample = None if weights is None else np.where(own, weights[0][label], weights[1][label])
        weight[:, label], bias[label] = _regress(x, own, sample=sample, penalty=penalty, seed=seed)
    return weight, bias


def _regress(
    x: csr_matrix, own: npt.NDArray[np.bool_], *, sample: Any, penalty: float, seed: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the weights (F,) and the intercept of a logistic regression of ``own`` (n,) on ``x`` (n, F).

    The intercept is penalized as all other weights, and these as they stand to the scaled columns.
    """
    scale = _find_scale(x, own, sample=sample)
    scaled = csr_matrix((x.data * scale.astype(np.float32)[x.indices], x.indices, x.indptr), shape=x.shape)
    if sample is not None:
        sample = np.maximum(sample, _LEAST_WEIGHT)
    model = LogisticRegression(
        C=1 / penalty,
        solver="liblinear",
        dual=True,
        tol=_TOLERANCE,
        max_iter=_MOST_PASSES,
        random_state=seed % 2**32,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the bound on passes is meant
        model.fit(scaled, own, sample_weight=sample)
    return model.coef_[0] * scale, float(model.intercept_[0])


def _find_scale(x: csr_matrix, own: npt.NDArray[np.bool_], *, sample: Any) -> npt.NDArray[np.float64]:
    """Return what the columns of ``x`` (n, F) are multiplied with (F,): much for n-grams that tell ``own`` texts apart.

    A weight of them is then penalized less. With p the share of an n-gram in all that the texts of ``own`` (n,) have,
    each counted once a text and all counts raised by one, and q that in the other texts, the log-count ratio is
    log(p / q) (Wang and Manning, "Baselines and Bigrams", ACL 2012). The scale is the root of its absolute value, and
    the mean of its square is 1.
    """
    of_ngram = csr_matrix((np.ones(x.nnz, np.float32), x.indices, x.indptr), shape=x.shape).T
    counts = np.ones(len(own), np.float32) if sample is None else np.asarray(sample, np.float32)
    p, q = ((of_ngram @ (counts * side)).astype(np.float64) + 1 for side in (own, ~own))
    salience = np.abs(np.log(p / p.sum()) - np.log(q / q.sum()))
    scale: npt.NDArray[np.float64] = np.sqrt(salience / max(salience.mean(), 1e-9))
    return scale
