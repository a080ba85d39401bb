"""Fitting the linear model over n-grams by scikit-learn. Only training imports this module."""

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

from textrnn.data.batch import Rows, SoftLabels, Texts, make_offsets
from textrnn.models.ngram.features import KIND_BITS, KINDS, WORDS, Keys, Spelling, hash_ngrams
from textrnn.models.ngram.prior import Prior, PriorLogit, PriorLogits
from textrnn.models.ngram.table import FACTORS, Floats, NgramTable

MAX_TOKENS = 2_000_000
"""Texts are sampled down to this number of tokens."""
MAX_ENTRIES, MAX_WORK = 40_000_000, 400_000_000
"""Limits of the non-zero entries of the matrix, at about 40 bytes each, and of entries times regressions.

Texts are sampled down to stay below both.
"""
MAX_KEYS, MAX_WEIGHTS = 1 << 21, 1 << 24
"""Limits of the n-grams of a table, and of its weights over all classes."""
MIN_TEXTS = 2
"""An n-gram of characters is kept if at least this many texts contain it."""
PENALTY = 0.1
"""L2 penalty: 1 / C of scikit-learn's LogisticRegression."""

_TOLERANCE, _MAX_PASSES = 1e-2, 100
_MIN_WEIGHT = 1e-9  # of a text: if all texts of a class had weight 0, the solver would miss the class
_CHUNK = 50_000  # tokens whose n-grams are merged at once
_CHUNK_ENTRIES = 1 << 20  # entries weighted at once
_PROBED = 1000  # texts from which the number of n-grams for each token is estimated

Weights = npt.NDArray[Any]
Regress = Callable[..., "tuple[npt.NDArray[np.float64], float]"]
"""Takes shares (n,), the weights of the texts ``sample`` (n,) or None, and the logit ``old`` of a prior or None.

Returns weights (F,) and an intercept."""


def fit_ngrams(
    texts: Texts,
    spelling: Spelling,
    *,
    classes: int,
    targets: npt.NDArray[Any],
    find_labels: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.bool_]] | None = None,
    weights: Weights | tuple[Weights, Weights] | None = None,
    find_soft: Callable[[Rows], SoftLabels | None] | None = None,
    text_weights: Weights | None = None,
    penalty: float = PENALTY,
    prior: Prior | None = None,
    seed: int,
    report: Callable[[str], None] = lambda note: None,
) -> NgramTable | None:
    """Fit logistic regressions over the n-grams of B texts: one for each label, or for each of C > 2 classes.

    Args:
        texts: the B texts.
        spelling: of the tokenizer that made their ids.
        classes: the number C of classes or labels.
        targets: the class of each text (B,) int64, where texts of class -1 are ignored; multi-label: the labels of each
            text (B, C) bool, or with ``find_labels`` its label sets (B,).
        find_labels: maps label sets (b,) to labels (b, C), so that only the labels of sampled texts are in memory.
        weights: the weight of the texts of each class (C,); multi-label: the weights (C,) of texts with each label, and
            of texts without it.
        find_soft: gives the label distributions of the sampled texts. A text that has one counts for every class,
            weighted by its probability.
        text_weights: the weight of each text (B,).
        penalty: the objective is the sum of the losses plus ``penalty`` / 2 times the sum of squared weights.
        prior: the weights that the penalty pulls to, instead of to 0. Its classes keep theirs if no text has them,
            and it is returned if there is nothing to learn.
        seed: of the sampling and the solver; the same arguments give the same table.
        report: receives a note if the limits below leave out texts or n-grams.

    Returns:
        The table, or None if there is nothing to learn: fewer than two classes occur, or no label that only some texts
        have, or no n-gram. None also if a sample has texts of less than half of the classes. By Laplace's rule of
        succession, a class without texts gets no weights and a bias that gives it a probability of 1 / (n + 1 + m) in a
        text without known n-grams (n texts, m such classes), and a label that k = 0 or k = n of the n texts have gets
        the constant logit log((k + 1) / (n - k + 1)).

    Larger corpora are sampled down to ``MAX_TOKENS`` tokens, ``MAX_ENTRIES`` entries and ``MAX_WORK``. The number of
    entries is estimated from the n-grams of 1,000 texts, where repeated n-grams count each time.
    """
    nothing = None if prior is None else prior.to_table()
    usable = np.arange(len(texts)) if targets.ndim == 2 else np.flatnonzero(targets >= 0)
    regressions = 1 if targets.ndim == 1 and classes == 2 else classes
    rows = _sample(texts, spelling, rows=usable, regressions=regressions, seed=seed)
    targets = targets[rows] if find_labels is None else find_labels(targets[rows])
    if len(rows) < len(usable):
        sample, present = f"{len(rows):,} of {len(usable):,} texts", _count_present(targets)
        if present < classes / 2:  # such a table costs time and memory, and knows little
            report(f"no n-gram model: with {classes:,} labels, it could learn {sample}, and {present:,} of the labels")
            return nothing
        report(f"n-grams: fitted to a sample of {sample}")
    soft = None if find_soft is None else find_soft(rows)
    shares = _Shares(targets, soft)
    if not shares.is_learnable():
        return nothing
    counts, limit = _Counts.of(texts, rows, spelling), min(MAX_KEYS, MAX_WEIGHTS // classes)
    keys, idf = counts.select_keys(limit, report=report)
    if not len(keys):
        return nothing
    if prior is not None:
        prior = prior.extend(keys, idf, limit=limit)
        keys, idf = prior.keys, prior.idf
    x = counts.to_matrix(keys, idf)
    del counts
    text_weights = None if text_weights is None else np.asarray(text_weights[rows], np.float64)
    regress = partial(_regress, x, penalty=penalty, seed=seed)
    old = None if prior is None else PriorLogits(prior, x)
    fit = partial(_fit_labels if targets.ndim == 2 else _fit_classes, regress, shares, old=old)
    weight, bias = fit(weights=weights, text_weights=text_weights, F=len(keys), C=classes)
    return NgramTable(keys, idf, weight, bias)


def _count_present(targets: npt.NDArray[Any]) -> int:
    """Return the number of classes or labels that texts have."""
    return int(targets.any(axis=0).sum()) if targets.ndim == 2 else len(np.unique(targets))


def _sample(texts: Texts, spelling: Spelling, *, rows: Rows, regressions: int, seed: int) -> Rows:
    """Return those of ``rows``, rising, that are fitted."""
    if not len(rows):
        return rows
    shuffled = np.random.default_rng(seed % 2**32).permutation(rows)
    probed = texts.select(np.sort(shuffled[:_PROBED]))
    ngrams = len(hash_ngrams(probed.ids, probed.offsets, spelling)[0])
    ngrams_per_token = max(1, ngrams / max(1, len(probed.ids)))
    limit = min(MAX_TOKENS, int(min(MAX_ENTRIES, MAX_WORK / regressions) / ngrams_per_token))
    tokens = np.cumsum(texts.lengths[shuffled], dtype=np.int64)
    return np.sort(shuffled[: np.searchsorted(tokens, limit, side="right")])


class _Counts:
    """The distinct n-grams of each of n texts and their counts.

    ``keys`` (K,) uint32 and ``counts`` (K,) int32; those of text ``b`` are ``bounds[b]:bounds[b+1]``.
    """

    def __init__(self, keys: Keys, counts: npt.NDArray[np.int32], bounds: npt.NDArray[np.int64]) -> None:
        self.keys, self.counts, self.bounds = keys, counts, bounds

    @classmethod
    def of(cls, texts: Texts, rows: Rows, spelling: Spelling) -> _Counts:
        keys: list[Keys] = []
        counts: list[npt.NDArray[np.int32]] = []
        sizes: list[npt.NDArray[np.int64]] = []
        for part in _chunks(texts.lengths[rows], _CHUNK):
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
        sizes = np.diff(self.bounds)
        for part in _chunks(sizes, _CHUNK_ENTRIES):
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


def _chunks(sizes: npt.NDArray[Any], limit: int) -> Iterator[slice]:
    """Yield slices of texts whose ``sizes`` add up to at most ``limit``, or of one text."""
    ends = make_offsets(sizes.astype(np.int64))
    start = 0
    while start < len(sizes):
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + limit, side="right")) - 1)
        yield slice(start, stop)
        start = stop


class _Shares:
    """The share of each class or label in each of n texts: 0 or 1, or what its distribution gives.

    ``targets`` are the classes (n,), or the labels (n, C) bool.
    """

    def __init__(self, targets: npt.NDArray[Any], soft: SoftLabels | None) -> None:
        self._targets, self._soft = targets, soft
        self._soft_rows = np.zeros(0, np.int64) if soft is None else soft.find_rows()
        self.shape = targets.shape

    def of(self, label: int) -> npt.NDArray[Any]:
        """Return the shares (n,) of a class or label: bool, or float32 with distributions."""
        own: npt.NDArray[Any] = self._targets == label if self._targets.ndim == 1 else self._targets[:, label]
        if self._soft is None:
            return own
        shares = own.astype(np.float32)
        shares[self._soft_rows] = 0
        chosen = self._soft.classes == label
        shares[self._soft.rows[chosen]] = self._soft.shares[chosen]
        return shares

    def is_learnable(self) -> bool:
        """Return whether there are two classes, or a label that only some texts have."""
        if self._targets.ndim == 1:
            return len(self.find_classes()) > 1
        has = self._targets
        has_shares = self._soft is not None and bool((self._soft.shares < 1).any())
        return has_shares or bool((has.any(axis=0) & ~has.all(axis=0)).any())

    def find_classes(self) -> npt.NDArray[np.int64]:
        """Return the classes that a text has, or has a share of."""
        return np.union1d(self._targets, () if self._soft is None else self._soft.classes).astype(np.int64)

    def average(self, weights: Weights) -> npt.NDArray[np.float64]:
        """Return the mean (n,) of the ``weights`` (C,) of the classes of each text."""
        mean: npt.NDArray[np.float64] = np.asarray(weights, np.float64)[self._targets]
        if self._soft is not None:
            total = np.bincount(self._soft.rows, self._soft.shares * np.asarray(weights)[self._soft.classes], len(mean))
            mean[self._soft_rows] = total[self._soft_rows]
        return mean


def _fit_classes(
    regress: Regress,
    shares: _Shares,
    *,
    C: int,
    weights: Any,
    text_weights: Any,
    F: int,
    old: PriorLogits | None = None,
) -> tuple[Floats, Floats]:
    """Return the weights (F, C) and the biases (C,) of logistic regressions for classes."""
    weight, bias = np.zeros((F, C), np.float32), np.zeros(C, np.float32)
    present = shares.find_classes()
    fit = partial(regress, sample=_multiply(None if weights is None else shares.average(weights), text_weights))
    if len(present) == 2 and (old is None or C == 2):  # the regression gives the difference of their logits
        w, b = fit(shares.of(present[1]), old=None if old is None else old.between(*present))
        weight[:, present], bias[present] = np.stack([-w / 2, w / 2], axis=1), (-b / 2, b / 2)
    else:
        for c in present:
            weight[:, c], bias[c] = fit(shares.of(c), old=None if old is None else old.of(c))
        if old is not None:
            old.keep_missing(weight, bias, present=present)
            present = np.union1d(present, old.known)
        weight[:, present] -= weight[:, present].mean(axis=1, keepdims=True)  # changes no probability
    missing = np.setdiff1d(np.arange(C), present)
    bias[missing] = np.logaddexp.reduce(bias[present].astype(np.float64)) - math.log(shares.shape[0] + 1)
    return weight, bias


def _fit_labels(
    regress: Regress,
    shares: _Shares,
    *,
    C: int,
    weights: Any,
    text_weights: Any,
    F: int,
    old: PriorLogits | None = None,
) -> tuple[Floats, Floats]:
    """Return the weights (F, C) and the biases (C,) of logistic regressions for labels."""
    n = shares.shape[0]
    weight, bias = np.zeros((F, C), np.float32), np.zeros(C, np.float32)
    for label in range(C):
        share = shares.of(label)
        k, prior = float(share.sum()), None if old is None else old.of(label)
        if k in {0, n} and prior is not None:
            weight[:, label], bias[label] = prior.weight, prior.bias
            continue
        if k in {0, n}:
            bias[label] = math.log((k + 1) / (n - k + 1))
            continue
        of_label = None if weights is None else share * weights[0][label] + (1 - share) * weights[1][label]
        weight[:, label], bias[label] = regress(share, sample=_multiply(of_label, text_weights), old=prior)
    return weight, bias


def _multiply(first: Any, second: Any) -> Any:
    """Return the product of two weights of texts (n,), where None is 1."""
    return second if first is None else first if second is None else first * second


def _split_shares(x: csr_matrix, share: npt.NDArray[Any], sample: Any) -> tuple[csr_matrix, npt.NDArray[np.bool_], Any]:
    """Return texts, whether each is of the class, and their weights, for texts with a ``share`` (n,) of it.

    A text with a share between 0 and 1 becomes two: one of the class with that share of its weight, one of the others.
    """
    if share.dtype == np.bool_:
        return x, share, sample
    own = share >= 0.5
    partial = np.flatnonzero((share > 0) & (share < 1))
    weight = _multiply(np.where(own, share, 1 - share).astype(np.float64), sample)
    rest = np.where(own, 1 - share, share)[partial]
    rows = np.append(np.arange(len(share)), partial)
    weights = np.append(weight, _multiply(rest, None if sample is None else sample[partial]))
    return x[rows], np.append(own, ~own[partial]), weights


def _regress(
    x: csr_matrix, share: npt.NDArray[Any], *, sample: Any, penalty: float, seed: int, old: PriorLogit | None = None
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the weights (F,) and the intercept of a logistic regression of ``share`` (n,) on ``x`` (n, F).

    The penalty applies to the intercept and to the weights of the scaled columns. The ``old`` logit is one more column,
    and the weights are those of the merged table.
    """
    x = x if old is None else old.append_to(x)
    x, own, sample = _split_shares(x, share, sample)
    scale = _column_scale(x, own, sample=sample)
    if old is not None:
        scale[-1] = 1.0  # so large already that the penalty hardly touches its weight
    scaled = csr_matrix((x.data * scale.astype(np.float32)[x.indices], x.indices, x.indptr), shape=x.shape)
    if sample is not None:
        sample = np.maximum(sample, _MIN_WEIGHT)
    model = LogisticRegression(
        C=1 / penalty,
        solver="liblinear",
        dual=True,
        tol=_TOLERANCE,
        max_iter=_MAX_PASSES,
        random_state=seed % 2**32,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the limit on passes is deliberate
        model.fit(scaled, own, sample_weight=sample)
    weight, bias = model.coef_[0] * scale, float(model.intercept_[0])
    return (weight, bias) if old is None else old.merge(weight, bias)


def _column_scale(x: csr_matrix, own: npt.NDArray[np.bool_], *, sample: Any) -> npt.NDArray[np.float64]:
    """Return factors (F,) of the columns of ``x`` (n, F) that favor n-grams typical of ``own`` (n,) or of the rest.

    A larger factor lowers the penalty on the weight. The factor is the square root of the absolute log-count ratio
    log(p / q) (Wang and Manning, "Baselines and Bigrams", ACL 2012), scaled to a mean square of 1. Here p is the share
    of the n-gram in the document frequencies of the texts of ``own``, each raised by one for smoothing, and q that in
    the other texts.
    """
    occurs = csr_matrix((np.ones(x.nnz, np.float32), x.indices, x.indptr), shape=x.shape).T
    counts = np.ones(len(own), np.float32) if sample is None else np.asarray(sample, np.float32)
    p, q = ((occurs @ (counts * side)).astype(np.float64) + 1 for side in (own, ~own))
    salience = np.abs(np.log(p / p.sum()) - np.log(q / q.sum()))
    scale: npt.NDArray[np.float64] = np.sqrt(salience / max(salience.mean(), 1e-9))
    return scale
