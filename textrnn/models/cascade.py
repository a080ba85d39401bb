"""Cascade: texts on which the n-gram model alone is sure enough are not read by the network.

Viola and Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001: a cheap model decides
the easy cases, a more expensive one the rest.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.models.calibration import Logits

CONFIDENCE = 0.95
"""Confidence of the lower bound of an agreement, one-sided."""

STEPS = 100
"""Margins that are tried: one for each percent of the validation texts."""


@dataclass(frozen=True)
class Cascade:
    """Margins of an n-gram model, and the agreement with the whole model that each of them guarantees.

    A margin is the log odds of the likeliest label against the second: the difference of their logits, divided by
    ``temperature``, which calibrates the n-gram model alone. Of the texts with at least the margin ``margins[i]``, a
    share of at least ``agreements[i]`` gets the same label from the whole model. Both (L,) rise strictly.
    """

    temperature: float
    margins: tuple[float, ...]
    agreements: tuple[float, ...]

    def find_margin(self, agreement: float) -> float | None:
        """Return the smallest margin that guarantees ``agreement`` in [0, 1], or None if none is."""
        return next((m for m, a in zip(self.margins, self.agreements, strict=True) if a >= agreement), None)


def fit_cascade(ngram_logits: Logits, logits: Logits, *, temperature: float) -> Cascade:
    """Return the agreement of an n-gram model with the whole model, measured on B texts.

    ``ngram_logits`` and ``logits`` (B, C) are those of the n-gram model alone and of the whole model; ``temperature``
    calibrates the former. An agreement is the lower bound of Clopper and Pearson, "The use of confidence or fiducial
    limits illustrated in the case of the binomial", Biometrika 1934, for the texts with at least that margin: a few
    texts that happen to agree guarantee little.
    """
    margins = measure_margins(ngram_logits, temperature)
    order = np.argsort(-margins, kind="stable")
    margins, same = margins[order], (ngram_logits.argmax(axis=1) == logits.argmax(axis=1))[order]
    counts = np.unique(np.linspace(0, len(order), STEPS + 1).astype(np.int64))[1:]
    counts = np.unique(np.searchsorted(-margins, -margins[counts - 1], side="right"))  # equal margins stay together
    bounds = lower_bounds(np.cumsum(same)[counts - 1], counts)
    found: list[tuple[float, float]] = []
    for margin, bound in zip(margins[counts - 1][::-1].tolist(), bounds[::-1].tolist(), strict=True):
        if bound > (found[-1][1] if found else 0.0):  # a larger margin is of use only if it guarantees more
            found.append((margin, bound))
    return Cascade(float(temperature), tuple(margin for margin, _ in found), tuple(bound for _, bound in found))


def merge_cascades(cascades: Sequence[Cascade]) -> Cascade:
    """Return a cascade whose margins guarantee their agreement by each of ``cascades``, which are not empty.

    The temperature is the geometric mean.
    """
    found: dict[float, float] = {}
    for agreement in sorted({agreement for cascade in cascades for agreement in cascade.agreements}):
        margins = [m for cascade in cascades if (m := cascade.find_margin(agreement)) is not None]
        if len(margins) == len(cascades):
            found[max(margins)] = agreement  # of equal margins, the highest agreement is kept
    temperature = statistics.geometric_mean([cascade.temperature for cascade in cascades])
    return Cascade(temperature, tuple(found), tuple(found.values()))


def measure_margins(ngram_logits: Logits, temperature: float) -> npt.NDArray[np.float32]:
    """Return the margin (B,) float32 of each row of ``ngram_logits`` (B, C); with a single class all are 0."""
    if ngram_logits.shape[1] < 2:
        return np.zeros(len(ngram_logits), np.float32)
    best = np.partition(ngram_logits, -2, axis=1)[:, -2:]
    margins: npt.NDArray[np.float32] = (best[:, 1] - best[:, 0]) / np.float32(temperature)
    return margins


def lower_bounds(successes: npt.NDArray[np.int64], trials: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the lower bounds (n,) in [0, 1) of the probabilities of success, each with ``CONFIDENCE``."""
    from scipy.special import betaincinv  # noqa: PLC0415 - prediction does not need scipy

    bounds = betaincinv(np.maximum(successes, 1), trials - successes + 1, 1 - CONFIDENCE)
    exact: npt.NDArray[np.float64] = np.where(successes > 0, bounds, 0.0)
    return exact
