"""Calibration: probabilities that match how often predictions are correct, and the calibration error.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017 (arXiv 1706.04599).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
BINS = 15  # of confidence, as in the paper

_BLOCK = 1 << 20  # logits processed at once in float64: 8 MB for each array

Logits = npt.NDArray[np.float32]
Targets = npt.NDArray[Any]
"""True classes (B,) int64, where -1 is ignored; or of a multi-label model the true labels (B, C) bool."""


def to_log_probabilities(logits: Logits, temperature: float, *, multi_label: bool) -> Logits:
    """Return log softmax(logits / temperature), or log sigmoid(logits / temperature) if ``multi_label``: (B, C)."""
    logits = logits / np.float32(temperature)
    if multi_label:
        return -np.logaddexp(np.float32(0), -logits)
    logits -= logits.max(axis=1, keepdims=True)
    normalized: Logits = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return normalized


def mix(first: Logits, second: Logits, share: float) -> Logits:
    """Return ``(1 - share) * first + share * second`` of logits (B, C) float32."""
    mixed: Logits = np.float32(1 - share) * first + np.float32(share) * second
    return mixed


def fit_temperature(
    logits: Logits, true: Targets, *, bounds: tuple[float, float] = (MIN_TEMPERATURE, MAX_TEMPERATURE)
) -> float:
    """Return the temperature in ``bounds`` with the lowest loss on ``logits`` (B, C).

    The loss is the cross entropy of softmax(logits / T), or the binary cross entropy of sigmoid(logits / T). If all
    predictions were correct, it would fall without end towards T = 0 and probabilities of 1. So the targets are
    smoothed by Laplace's rule of succession: what is true has the probability 1 - 1 / (n + 2), where n is the number of
    texts (multi-label: of texts times labels), and the other classes share the rest. Platt, "Probabilistic outputs for
    support vector machines", 1999, smooths for the same reason.

    The loss is convex in 1 / T, so Brent's method finds the only root of its slope. Returns 1.0 if there are no
    targets, if all classes of each text have equal logits, or if a logit is not finite.
    """
    n = _count_targets(true)
    if not n or not np.isfinite(logits).all():
        return 1.0

    def slope(log_factor: float) -> float:
        return float(_measure_loss([logits], true, factors=np.exp([log_factor]), smoothing=1 / (n + 2))[1][0])

    low, high = -math.log(bounds[1]), -math.log(bounds[0])
    if slope(0.0) == 0:
        return 1.0
    if slope(low) >= 0:
        return bounds[1]
    if slope(high) <= 0:
        return bounds[0]
    from scipy.optimize import brentq  # noqa: PLC0415 - prediction does not need scipy

    return math.exp(-brentq(slope, low, high, xtol=1e-10))


def fit_share(first: Logits, second: Logits, true: Targets) -> float:
    """Return the share of ``second`` in the mixture (see :func:`mix`) with the lowest loss, in [0, 1].

    The mixture of logits (B, C), each already divided by the temperature of its model, is a product of experts (Hinton
    2002). Its loss is that of :func:`fit_temperature`, minimized over all temperatures: over ``a * first + b * second``
    with a, b >= 0, a convex problem, and the share is b / (a + b). Returns 0.5 if there are no targets or a logit is
    not finite.
    """
    n = _count_targets(true)
    if not n or not np.isfinite(first).all() or not np.isfinite(second).all():
        return 0.5
    from scipy.optimize import minimize  # noqa: PLC0415 - prediction does not need scipy

    def loss(factors: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        value, gradient = _measure_loss([first, second], true, factors=factors, smoothing=1 / (n + 2))
        return value / len(true), gradient / len(true)  # a mean, so that tolerances suit any number of texts

    start, bounds = np.array([0.5, 0.5]), [(0.0, None), (0.0, None)]
    options: Any = {"ftol": 1e-14, "gtol": 1e-8}
    a, b = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return float(b / (a + b)) if a + b > 0 else 0.5


def _count_targets(true: Targets) -> int:
    return true.size if true.ndim == 2 else int((true >= 0).sum())


def _measure_loss(
    parts: Sequence[Logits], true: Targets, *, factors: npt.NDArray[np.float64], smoothing: float
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the loss of the sum of ``factors[k] * parts[k]`` over all texts, and its gradient (K,) by the factors.

    ``smoothing`` is the probability that a target takes from what is true.
    """
    K, C = len(parts), parts[0].shape[1]
    step = max(1, _BLOCK // (K * C))
    loss, gradient = 0.0, np.zeros(K)
    for start in range(0, len(true), step):
        labels = true[start : start + step]
        x = np.stack([part[start : start + step].astype(np.float64) for part in parts])
        if labels.ndim == 2:
            z, targets = np.tensordot(factors, x, 1), np.where(labels, 1 - smoothing, smoothing)
            loss += float((np.logaddexp(0, z) - targets * z).sum())
            probabilities = np.exp(-np.logaddexp(0, -z))
        else:
            x, labels = x[:, labels >= 0], labels[labels >= 0]
            x -= x.max(axis=2, keepdims=True, initial=-np.inf)  # changes no probability, and equal logits become zeros
            z = np.tensordot(factors, x, 1)
            targets = np.full(z.shape, smoothing / max(1, C - 1))
            targets[np.arange(len(z)), labels] = 1 - smoothing if C > 1 else 1.0
            z -= z.max(axis=1, keepdims=True, initial=-np.inf)
            probabilities = np.exp(z)
            sums = probabilities.sum(axis=1, keepdims=True)
            loss += float(np.log(sums).sum() - (targets * z).sum())
            probabilities /= sums
        gradient += np.tensordot(x, probabilities - targets, 2)
    return loss, gradient


def expected_calibration_error(probabilities: npt.NDArray[Any], correct: npt.NDArray[np.bool_]) -> float:
    """Return the expected calibration error (ECE) in [0, 1] of predictions with ``probabilities`` (n,).

    The predictions are sorted into 15 bins of equal width, each with its upper end but not its lower (the first has 0
    too). The error is the mean over predictions of the difference between the mean probability of the bin and the share
    of it that is ``correct`` (n,) (Guo et al., section 2). It is 0 for n = 0.
    """
    if not len(probabilities):
        return 0.0
    bins = np.searchsorted(np.arange(1, BINS) / BINS, probabilities, side="left")
    gaps = np.bincount(bins, probabilities.astype(np.float64) - correct, BINS)  # mean difference times members
    return float(np.abs(gaps).sum()) / len(probabilities)
