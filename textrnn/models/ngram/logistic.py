"""Logistic regression of one class or label on the n-grams of texts, by scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier

from textrnn.data.batch import Rows
from textrnn.models.ngram.counts import split_into_chunks
from textrnn.models.ngram.prior import PriorLogit

Weights = npt.NDArray[Any]
Solution = tuple[npt.NDArray[np.float64], float]
"""The weights (F,) and the intercept of a regression."""

_TOLERANCE, _MAX_PASSES = 1e-2, 100  # of liblinear
_PASSES = 20  # of stochastic gradient descent
_CHUNK_ENTRIES = 1 << 22  # entries of the texts that are visited together
_MIN_WEIGHT = 1e-9  # of a text: if all texts of a class had weight 0, the solver would miss the class


def multiply_weights(first: Any, second: Any) -> Any:
    """Return the product of two weights of texts (n,), where None is 1."""
    return second if first is None else first if second is None else first * second


def regress(
    x: csr_matrix,
    share: npt.NDArray[Any],
    *,
    sample: Weights | None,
    penalty: float,
    seed: int,
    is_exact: bool = True,
    overwrite: bool = False,
    old: PriorLogit | None = None,
) -> Solution:
    """Fit a logistic regression of ``share`` (n,) on ``x`` (n, F) float32; return weights (F,) and an intercept.

    The objective is the sum of the losses plus ``penalty`` / 2 times the sum of the squared weights of the scaled
    columns (see :func:`_column_scale`).

    Args:
        x: the features of n texts.
        share: whether each text is of the class, (n,) bool, or its share of the class (n,) float32.
        sample: the weights of the texts (n,), or None.
        penalty: the weight of the L2 penalty.
        seed: of the solver; the same arguments give the same bits.
        is_exact: whether liblinear solves the problem, in up to 100 passes and with 16 bytes for each entry of ``x``;
            otherwise 20 passes of stochastic gradient descent come close; it copies only the values, 4 bytes an entry,
            and one part of the texts at a time.
        overwrite: whether the columns of ``x`` itself may be scaled, which saves a copy of its values.
        old: the logit of a prior, which is one more feature; the result is that of the merged table.
    """
    if old is not None:
        x, overwrite = old.append_to(x), True
    solve = _solve_by_liblinear if is_exact else _solve_by_sgd
    columns = {"overwrite": overwrite, "has_prior": old is not None}
    solution = solve(x, share, sample=sample, penalty=penalty, seed=seed % 2**32, **columns)
    return solution if old is None else old.merge(*solution)


def _solve_by_liblinear(
    x: csr_matrix,
    share: npt.NDArray[Any],
    *,
    sample: Weights | None,
    penalty: float,
    seed: int,
    overwrite: bool,
    has_prior: bool,
) -> Solution:
    """Solve the problem by dual coordinate descent; the penalty applies to the intercept too."""
    rows, own, weights = _split_shares(share, sample)
    if rows is not None:
        x, overwrite = x[rows], True
    scale = _column_scale(x, own, sample=weights)
    if has_prior:
        scale[-1] = 1.0  # logits are so large already that the penalty hardly touches their weight
    scaled = _scale_columns(x, scale, overwrite=overwrite)
    model = LogisticRegression(
        C=1 / penalty, solver="liblinear", dual=True, tol=_TOLERANCE, max_iter=_MAX_PASSES, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the limit on passes is deliberate
        model.fit(scaled, own, sample_weight=None if weights is None else np.maximum(weights, _MIN_WEIGHT))
    return model.coef_[0] * scale, float(model.intercept_[0])


def _solve_by_sgd(
    x: csr_matrix,
    share: npt.NDArray[Any],
    *,
    sample: Weights | None,
    penalty: float,
    seed: int,
    overwrite: bool,
    has_prior: bool,
) -> Solution:
    """Approach the solution by stochastic gradient descent, without a penalty on the intercept.

    A text of a large weight is visited several times in a pass, with a part of its weight each time: a step longer than
    that of a text of mean weight disturbs what the others taught.
    """
    sample = None if sample is None else np.maximum(sample, _MIN_WEIGHT)
    rows, own, weights = _split_shares(share, sample)
    rows = np.arange(len(own)) if rows is None else rows
    weights = np.ones(len(own)) if weights is None else weights * (len(share) / weights.sum())
    times = np.maximum(1, np.ceil(weights - 1e-6)).astype(np.int64)  # equal weights may round to just above 1
    rows, own, weights = (np.repeat(each, times) for each in (rows, own, weights / times))
    scale = _column_scale(x, share, sample=sample)
    if has_prior:  # brought to the size of the other features, or the steps were too long
        logits = x.data[x.indptr[1:] - 1]
        scale[-1] = 1 / max(float(np.sqrt(np.square(logits).mean())), 1e-9)
    scaled = _scale_columns(x, scale, overwrite=overwrite)
    mean_weight = 1.0 if sample is None else float(sample.mean())
    model = SGDClassifier(loss="log_loss", alpha=penalty / (mean_weight * len(rows)), shuffle=False)
    sizes, rng = np.diff(x.indptr), np.random.default_rng(seed)
    for _ in range(_PASSES):
        order = rng.permutation(len(rows))
        for part in split_into_chunks(sizes[rows[order]], _CHUNK_ENTRIES):
            visits = order[part]
            model.partial_fit(scaled[rows[visits]], own[visits], classes=[False, True], sample_weight=weights[visits])
    return model.coef_[0] * scale, float(model.intercept_[0])


def _split_shares(share: npt.NDArray[Any], sample: Weights | None) -> tuple[Rows | None, npt.NDArray[np.bool_], Any]:
    """Return n' texts, whether each is of the class, and their weights, for texts with a ``share`` (n,) of it.

    A text with a share between 0 and 1 becomes two: one of the class with that share of its weight, one of the others.
    The texts are None if all shares are bool, so that nothing changes.
    """
    if share.dtype == np.bool_:
        return None, share, sample
    own = share >= 0.5
    partial = np.flatnonzero((share > 0) & (share < 1))
    weight = multiply_weights(np.where(own, share, 1 - share).astype(np.float64), sample)
    rest = np.where(own, 1 - share, share)[partial]
    rows = np.append(np.arange(len(share)), partial)
    weights = np.append(weight, multiply_weights(rest, None if sample is None else sample[partial]))
    return rows, np.append(own, ~own[partial]), weights


def _scale_columns(x: csr_matrix, scale: npt.NDArray[np.float64], *, overwrite: bool) -> csr_matrix:
    """Return ``x`` (n, F) with its columns times ``scale`` (F,); ``overwrite``: the values of ``x`` may change."""
    factors = scale.astype(np.float32)[x.indices]
    data = np.multiply(x.data, factors, out=x.data if overwrite else factors)
    return csr_matrix((data, x.indices, x.indptr), shape=x.shape)


def _column_scale(x: csr_matrix, share: npt.NDArray[Any], *, sample: Weights | None) -> npt.NDArray[np.float64]:
    """Return factors (F,) of the columns of ``x`` (n, F) that favor n-grams typical of a class or of the other texts.

    A larger factor lowers the penalty on the weight. The factor is the square root of the absolute log-count ratio
    log(p / q) (Wang and Manning, "Baselines and Bigrams", ACL 2012), scaled to a mean square of 1. Here p is the share
    of the n-gram in the document frequencies of the texts of the class, each raised by one for smoothing, and q that in
    the other texts. ``share`` (n,) is bool, or a text's share of the class.
    """
    occurs = csr_matrix((np.ones(x.nnz, np.float32), x.indices, x.indptr), shape=x.shape).T
    counts = np.ones(len(share), np.float32) if sample is None else np.asarray(sample, np.float32)
    others = ~share if share.dtype == np.bool_ else 1 - share
    p, q = ((occurs @ (counts * side)).astype(np.float64) + 1 for side in (share, others))
    salience = np.abs(np.log(p / p.sum()) - np.log(q / q.sum()))
    scale: npt.NDArray[np.float64] = np.sqrt(salience / max(salience.mean(), 1e-9))
    return scale
