"""Calibration: from scores to probabilities that mean what they say, and how far they are from it.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017 (arXiv 1706.04599).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

LEAST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
BINS = 15  # of confidence, as in the paper

_STEPS = 100  # of the search; halving alone takes 36
_PRECISE = 1e-10  # of the logarithm of the temperature
_BLOCK = 1 << 20  # scores that are looked at together, in float64: 8 MB an array

Logits = npt.NDArray[np.float32]


def to_log_probabilities(logits: Logits, temperature: float, *, several: bool) -> Logits:
    """Return the logarithms (B, C) float32 of the probabilities that ``logits`` (B, C) float32 say.

    These are softmax(scores / temperature) or, of ``several`` labels a text, sigmoid(scores / temperature).
    """
    logits = logits / np.float32(temperature)
    if several:
        return -np.logaddexp(np.float32(0), -logits)
    logits -= logits.max(axis=1, keepdims=True)
    normalized: Logits = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return normalized


def fit_temperature(
    logits: Logits, true: npt.NDArray[Any], *, bounds: tuple[float, float] = (LEAST_TEMPERATURE, HIGHEST_TEMPERATURE)
) -> float:
    """Return the temperature at which the probabilities of these texts' labels are best: that of the lowest loss.

    Args:
        scores: (B, C), before softmax or sigmoid.
        true: the class of each text (B,) int64, where -1 is none of them and does not count; or of several labels a
            text which it has (B, C) bool.

    The loss is the mean of minus the logarithm of the probability of what is true: the cross entropy of
    softmax(scores / T), or the binary cross entropy of sigmoid(scores / T) over all texts and labels.

    Where each text's scores are highest for what is true, that loss has no lowest point: it falls on to T = 0, where
    every probability is 1. So what is true counts as 1 - 1 / (n + 2) true, where n is the number of texts, or of pairs
    of text and label; the rest is shared by the other classes. That is Laplace's rule of succession: after n of n that
    were right, the next is expected to be right with the probability (n + 1) / (n + 2). Platt, "Probabilistic outputs
    for support vector machines", 1999, smooths his targets by it for the same reason. Elsewhere it weighs as much as
    one text that is wrong. Scores that are k times as large have a temperature k times as high, either way.

    The loss is convex in 1 / T. Its slope is brought to zero by Newton's method over log T, and by halving where that
    leaves the interval: T is in ``bounds``, which are [0.05, 20] where nothing is said, and 1.0 where no text counts,
    where all classes have the same score in each text, or a score is not finite.
    """
    n = true.size if true.ndim == 2 else int((true >= 0).sum())
    if not n or not np.isfinite(logits).all():
        return 1.0
    low, high, at = -math.log(bounds[1]), -math.log(bounds[0]), 0.0  # of log 1 / T
    for _ in range(_STEPS):
        factor = math.exp(at)
        _, (slope,), ((curvature,),) = _differentiate([logits], true, factors=np.array([factor]), doubt=1 / (n + 2))
        if slope == 0:
            break
        low, high = (low, at) if slope > 0 else (at, high)
        before, at = at, at - slope / (factor * curvature) if curvature > 0 else math.inf
        if not low < at < high:
            at = (low + high) / 2
        if abs(at - before) < _PRECISE:
            break
    return math.exp(-at)


def mix(first: Logits, second: Logits, share: float) -> Logits:
    """Return ``(1 - share) first + share second`` of logits (B, C) float32."""
    mixed: Logits = np.float32(1 - share) * first + np.float32(share) * second
    return mixed


def fit_share(first: Logits, second: Logits, true: npt.NDArray[Any]) -> float:
    """Return the share m of ``second`` at which ``(1 - m) first + m second`` are the best scores of these texts.

    Args:
        first, second: (B, C), before softmax or sigmoid, of two models, each at its own temperature (divided by it).
        true: as in :func:`fit_temperature`.

    That is a product of experts: the mean of the logarithms of two models' probabilities, weighed, and normalised. Best
    is the lowest loss that any temperature gives, that of :func:`fit_temperature`, whose doubt is in it. It is the
    minimum over ``a first + b second`` with a and b not negative, and m = b / (a + b): a convex problem of two numbers,
    which Newton's method solves, halving steps that do not lower the loss. Where it leaves the quadrant the better of
    the two models is left alone (m is 0 or 1). 0.5 where no text counts or a score is not finite.
    """
    n = true.size if true.ndim == 2 else int((true >= 0).sum())
    if not n or not np.isfinite(first).all() or not np.isfinite(second).all():
        return 0.5
    factors, doubt = np.array([0.5, 0.5]), 1 / (n + 2)
    loss, slope, curvature = _differentiate([first, second], true, factors=factors, doubt=doubt)
    for _ in range(_STEPS):
        move = np.linalg.lstsq(curvature, slope, rcond=None)[0]
        if slope @ move < _PRECISE * n:
            break
        size = 1.0
        while size > _PRECISE:
            at = factors - size * move
            found = _differentiate([first, second], true, factors=at, doubt=doubt)
            if found[0] < loss:
                break
            size /= 2
        else:
            break
        factors, (loss, slope, curvature) = at, found
    a, b = factors
    if a > 0 and b > 0:
        return float(b / (a + b))
    alone = [_measure_loss(logits, true, doubt=doubt) for logits in (first, second)]
    return float(alone[1] < alone[0])


def _measure_loss(logits: Logits, true: npt.NDArray[Any], *, doubt: float) -> float:
    """Return the loss of ``logits`` alone at their own temperature, added up."""
    return _differentiate([logits], true, factors=np.array([1 / fit_temperature(logits, true)]), doubt=doubt)[0]


def _differentiate(
    parts: Sequence[Logits], true: npt.NDArray[Any], *, factors: npt.NDArray[np.float64], doubt: float
) -> tuple[float, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the loss of the sum of K ``parts`` (B, C), each times its factor, its gradient (K,) and Hessian (K, K).

    They are added up over the texts; ``doubt`` is how far what is true does not count as true.
    """
    K, C = len(parts), parts[0].shape[1]
    rows = max(1, _BLOCK // (K * C))
    loss, slope, curvature = 0.0, np.zeros(K), np.zeros((K, K))
    for start in range(0, len(parts[0]), rows):
        has = true[start : start + rows]
        x = np.stack([part[start : start + rows].astype(np.float64) for part in parts])
        if has.ndim == 2:
            s, wanted = np.tensordot(factors, x, 1), np.where(has, 1 - doubt, doubt)
            p = np.exp(-np.logaddexp(0, -s))
            loss += float((np.logaddexp(0, s) - wanted * s).sum())
            spread, weight = x, p * (1 - p)
        else:
            x, has = x[:, has >= 0], has[has >= 0]
            x -= x.max(axis=2, keepdims=True, initial=-np.inf)  # which changes no probability
            s = np.tensordot(factors, x, 1)
            top = s.max(axis=1, keepdims=True, initial=-np.inf)
            p = np.exp(s - top)
            total = p.sum(axis=1, keepdims=True)
            p /= total
            wanted = np.full(s.shape, doubt / max(1, C - 1))
            wanted[np.arange(len(s)), has] = 1 - doubt if C > 1 else 1.0
            loss += float((top + np.log(total)).sum() - (wanted * s).sum())
            spread, weight = x - (p * x).sum(axis=2, keepdims=True), p
        slope += (x * (p - wanted)).sum(axis=(1, 2))
        curvature += np.einsum("kbc,lbc,bc->kl", spread, spread, weight)
    return loss, slope, curvature


def measure_calibration_error(probabilities: npt.NDArray[Any], right: npt.NDArray[np.bool_]) -> float:
    """Return the expected calibration error (ECE), in [0, 1], of ``probabilities`` (n,) that each was ``right`` (n,).

    They are sorted into 15 bins of equal width; a bin has its upper end and not its lower, and the first has 0 too. The
    error is the mean, weighed by the members of each bin, of the distance between the bin's mean probability and the
    share in it that was right (Guo et al., equation 5). Of none it is 0.
    """
    if not len(probabilities):
        return 0.0
    bins = np.searchsorted(np.arange(1, BINS) / BINS, probabilities, side="left")
    gaps = np.bincount(bins, probabilities.astype(np.float64) - right, BINS)  # a bin's mean distance times its members
    return float(np.abs(gaps).sum()) / len(probabilities)
