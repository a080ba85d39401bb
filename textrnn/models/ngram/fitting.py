"""Fitting the linear model over n-grams: the sample of texts, and a regression for each class or label.

Only training imports this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Rows, SoftLabels, Texts
from textrnn.models.ngram.counts import NgramCounts
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.logistic import Weights, multiply_weights, regress
from textrnn.models.ngram.prior import Prior, PriorLogits
from textrnn.models.ngram.sample import draw_sample
from textrnn.models.ngram.table import Floats, NgramTable

MAX_KEYS, MAX_WEIGHTS = 1 << 21, 1 << 24
"""Limits of the n-grams of a table, and of its weights over all classes."""
PENALTY = 0.1
"""L2 penalty: 1 / C of scikit-learn's LogisticRegression."""

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
    is_exact: bool = True,
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
        is_exact: whether a small training set is fitted exactly; False is faster if most texts have a distribution.
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

    Larger training sets are fitted by stochastic gradient descent, or sampled, as :mod:`textrnn.models.ngram.sample`
    says.
    """
    nothing = None if prior is None else prior.to_table()
    usable = np.arange(len(texts)) if targets.ndim == 2 else np.flatnonzero(targets >= 0)
    regressions = 1 if targets.ndim == 1 and classes == 2 else classes
    rows, is_small = draw_sample(texts, spelling, rows=usable, regressions=regressions, seed=seed)
    targets = targets[rows] if find_labels is None else find_labels(targets[rows])
    if len(rows) < len(usable):
        sample, present = f"{len(rows):,} of {len(usable):,} texts", _count_present(targets)
        if prior is None and present < classes / 2:  # such a table costs time and memory, and knows little
            report(f"no n-gram model: with {classes:,} labels, it could learn {sample}, and {present:,} of the labels")
            return None
        report(f"n-grams: fitted to a sample of {sample}")
    soft = None if find_soft is None else find_soft(rows)
    shares = _Shares(targets, soft)
    if not shares.is_learnable():
        return nothing
    counts, limit = NgramCounts.of(texts, rows, spelling), min(MAX_KEYS, MAX_WEIGHTS // classes)
    keys, idf = counts.select_keys(limit, report=report)
    if not len(keys):
        return nothing
    if prior is not None:
        prior = prior.extend(keys, idf, limit=limit)
        keys, idf = prior.keys, prior.idf
    x = counts.to_matrix(keys, idf)
    del counts
    text_weights = None if text_weights is None else np.asarray(text_weights[rows], np.float64)
    solve = partial(regress, x, penalty=penalty, seed=seed, is_exact=is_exact and is_small, overwrite=regressions == 1)
    old = None if prior is None else PriorLogits(prior, x)
    fit = partial(_fit_labels if targets.ndim == 2 else _fit_classes, solve, shares, old=old)
    weight, bias = fit(weights=weights, text_weights=text_weights, F=len(keys), C=classes)
    return NgramTable(keys, idf, weight, bias)


def _count_present(targets: npt.NDArray[Any]) -> int:
    """Return the number of classes or labels that texts have."""
    return int(targets.any(axis=0).sum()) if targets.ndim == 2 else len(np.unique(targets))


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
    fit = partial(regress, sample=multiply_weights(None if weights is None else shares.average(weights), text_weights))
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
        weight[:, label], bias[label] = regress(share, sample=multiply_weights(of_label, text_weights), old=prior)
    return weight, bias
