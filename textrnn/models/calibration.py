"""Calibration: probabilities that match how often predictions are correct, and the calibration error.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017 (arXiv 1706.04599).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
PENALTY = 2.0
"""Weight of the penalty in nats, for |log T| = 1; chosen on small validation sets (docs/results/accuracy.md)."""
BINS = 15  # of confidence, as in the paper

MAX_LOGITS = 1 << 23
"""Logits of texts (B, C) held at once, and fitted: 32 MB of float32."""

_BLOCK = 1 << 16  # logits processed at once in float64: 512 KB for each array

Logits = npt.NDArray[np.float32]
Targets = npt.NDArray[Any]
"""True classes (B,) int64, where -1 is ignored, or the probabilities of all classes (B, C) float32, where rows of -1
are ignored; or of a multi-label model the true labels (B, C) bool, or with ``multi_label`` their probabilities (B, C)
float32."""


def to_log_probabilities(logits: Logits, temperature: float, *, multi_label: bool) -> Logits:
    """Return log softmax(logits / temperature), or log sigmoid(logits / temperature) if ``multi_label``: (B, C)."""
    logits = logits / np.float32(temperature)
    if multi_label:
        return -np.logaddexp(np.float32(0), -logits)
    logits -= logits.max(axis=1, keepdims=True)
    normalized: Logits = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return normalized


def split_rows(B: int, C: int) -> Iterator[slice]:
    """Yield slices of B texts with at most ``MAX_LOGITS`` logits for C classes, or of one text."""
    step = max(1, MAX_LOGITS // max(1, C))
    for start in range(0, B, step):
        yield slice(start, min(B, start + step))


def mix(first: Logits, second: Logits, share: float) -> Logits:
    """Return ``(1 - share) * first + share * second`` of logits (B, C) float32."""
    mixed: Logits = np.float32(1 - share) * first + np.float32(share) * second
    return mixed


def fit_temperature(
    logits: Logits,
    true: Targets,
    *,
    multi_label: bool = False,
    bounds: tuple[float, float] = (MIN_TEMPERATURE, MAX_TEMPERATURE),
    penalty: float = 0.0,
    prior: float = 1.0,
) -> float:
    """Return the temperature T in ``bounds`` with the lowest loss on ``logits`` (B, C).

    Exactly, T minimizes the sum of the losses plus penalty * |log(T / prior)|.

    The loss is the cross entropy of softmax(logits / T), or the binary cross entropy of sigmoid(logits / T). If all
    predictions were correct, it would fall without end towards T = 0 and probabilities of 1. So the targets are
    smoothed by Laplace's rule of succession: what is true has the probability 1 - 1 / (n + 2), where n is the number of
    texts (multi-label: of texts times labels), and the other classes share the rest. Platt, "Probabilistic outputs for
    support vector machines", 1999, smooths for the same reason. The penalty keeps T at ``prior`` unless the texts
    clearly say otherwise. It matters for few texts alone, as it does not grow with their number.

    The loss is convex in 1 / T, so on either side of ``prior`` Brent's method finds the only root of its slope. Returns
    ``prior``, limited by ``bounds``, if there are no targets, if all classes of each text have equal logits, or if a
    logit is not finite.
    """
    n, prior = _count_targets(true, multi_label=multi_label), min(max(prior, bounds[0]), bounds[1])
    if not n or not np.isfinite(logits).all():
        return prior

    @cache  # Brent's method asks for both ends again
    def slope(log_factor: float) -> float:
        factors = np.exp([log_factor])
        found = _measure_loss([logits], true, factors=factors, smoothing=1 / (n + 2), multi_label=multi_label)
        return float(factors[0] * found[1][0])

    start = slope(-math.log(prior))
    if abs(start) <= penalty:
        return prior
    pull, bound = math.copysign(penalty, -start), bounds[0] if start < 0 else bounds[1]
    if (slope(-math.log(bound)) + pull) * start >= 0:
        return bound
    from scipy.optimize import brentq  # noqa: PLC0415 - prediction does not need scipy

    return math.exp(-brentq(lambda at: slope(at) + pull, -math.log(prior), -math.log(bound), xtol=1e-7))


def fit_share(first: Logits, second: Logits, true: Targets, *, multi_label: bool = False) -> float:
    """Return the share of ``second`` in the mixture (see :func:`mix`) with the lowest loss, in [0, 1].

    The mixture of logits (B, C), each already divided by the temperature of its model, is a product of experts (Hinton
    2002). Its loss is that of :func:`fit_temperature`, minimized over all temperatures: over ``a * first + b * second``
    with a, b >= 0, a convex problem, and the share is b / (a + b). Returns 0.5 if there are no targets or a logit is
    not finite.
    """
    n = _count_targets(true, multi_label=multi_label)
    if not n or not np.isfinite(first).all() or not np.isfinite(second).all():
        return 0.5
    from scipy.optimize import minimize  # noqa: PLC0415 - prediction does not need scipy

    def loss(factors: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        value, gradient = _measure_loss(
            [first, second], true, factors=factors, smoothing=1 / (n + 2), multi_label=multi_label
        )
        return value / len(true), gradient / len(true)  # a mean, so that tolerances suit any number of texts

    start, bounds = np.array([0.5, 0.5]), [(0.0, None), (0.0, None)]
    options: Any = {"ftol": 1e-10, "gtol": 1e-6}
    a, b = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return float(b / (a + b)) if a + b > 0 else 0.5


def _count_targets(true: Targets, *, multi_label: bool) -> int:
    if multi_label or true.dtype == np.bool_:
        return true.size
    return int(((true if true.ndim == 1 else true[:, 0]) >= 0).sum())


def _measure_loss(
    parts: Sequence[Logits],
    true: Targets,
    *,
    factors: npt.NDArray[np.float64],
    smoothing: float,
    multi_label: bool,
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
        if multi_label or labels.dtype == np.bool_:
            # targets are 1 - smoothing and smoothing: their products with x are sums over true labels and over all
            if labels.dtype == np.bool_:
                true_logits = np.array([part[labels].sum() for part in x])
            else:
                true_logits = (x * labels).sum(axis=(1, 2))
            expected = (1 - 2 * smoothing) * true_logits + smoothing * x.sum(axis=(1, 2))
            z = np.tensordot(factors, x, 1)
            partition = np.logaddexp(0, z)
            probabilities = np.exp(z - partition)
        else:
            known = (labels if labels.ndim == 1 else labels[:, 0]) >= 0
            x, labels = x[:, known], labels[known]
            x -= x.max(axis=2, keepdims=True, initial=-np.inf)  # changes no probability, and equal logits become zeros
            others = smoothing / (C - 1) if C > 1 else 0.0
            own = 1 - smoothing - others if C > 1 else 1.0
            if labels.ndim == 1:
                true_logits = x[:, np.arange(len(labels)), labels].sum(axis=1)
            else:
                true_logits = (x * labels).sum(axis=(1, 2))
            expected = own * true_logits + others * x.sum(axis=(1, 2))
            z = np.tensordot(factors, x, 1)
            highest = z.max(axis=1, keepdims=True, initial=-np.inf)
            z -= highest
            probabilities = np.exp(z, out=z)
            sums = probabilities.sum(axis=1, keepdims=True)
            partition = np.log(sums) + highest
            probabilities /= sums
        loss += float(partition.sum() - factors @ expected)
        gradient += np.tensordot(x, probabilities, 2) - expected
    return loss, gradient


def find_bins(probabilities: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the bin of each of ``probabilities``, of any shape: 0 to BINS - 1, of equal width.

    A bin has its upper end but not its lower; the first has 0 too.
    """
    return np.searchsorted(np.arange(1, BINS) / BINS, probabilities, side="left")


class CalibrationError:
    """The expected calibration error (ECE) in [0, 1] of predictions, added in parts.

    The predictions are sorted into the 15 bins of :func:`find_bins`. The error is the mean over predictions of the
    difference between the mean probability of the bin and the share of it that is correct (Guo et al., section 2). It
    is 0 without predictions.
    """

    def __init__(self) -> None:
        self._gaps, self._count = np.zeros(BINS), 0

    def add(self, probabilities: npt.NDArray[Any], correct: npt.NDArray[np.bool_]) -> None:
        """Add predictions with ``probabilities`` (n,), and whether each is ``correct`` (n,)."""
        bins = find_bins(probabilities)
        self._gaps += np.bincount(bins, probabilities.astype(np.float64) - correct, BINS)
        self._count += len(probabilities)

    @property
    def mean(self) -> float:
        """The error of all predictions added."""
        return float(np.abs(self._gaps).sum()) / max(1, self._count)
