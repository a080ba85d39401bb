"""Scores as distributions over anchors: Gaussian histograms whose mean is the score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Rows, SoftLabels

SIGMA = 0.75
"""Standard deviation of the Gaussian, in distances between neighboring anchors."""

_MIN_SHARE = 0.005  # smaller ones change nothing and take time
_MAX_EXPONENT = 50.0  # of the tilt from one anchor to the next: exp(-50) leaves nothing
_BLOCK = 1 << 16  # rows whose shares are computed together

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoreTargets:
    """Scores as distributions over anchor scores; the mean is the score.

    ``numbers`` (R,) int32 are the label numbers of the rows of a file, ``scores`` (labels,) the score of each label,
    and ``anchors`` (C,) those of the classes, rising. A score at an anchor has the distribution that
    :func:`spread_anchors` gives; one between two anchors has both, in inverse proportion to its distance; one beyond
    the last has that class.
    """

    numbers: npt.NDArray[np.int32]
    scores: Scores
    anchors: Scores

    def find_scores(self, rows: Rows) -> Scores:
        """Return the scores (B,) of ``rows`` (B,)."""
        return self.scores[self.numbers[rows]]

    def select(self, rows: Rows) -> SoftLabels | None:
        """Return the distributions of ``rows`` (B,) over more than one class, or None without any."""
        parts = [part for start in range(0, len(rows), _BLOCK) for part in self._spread(rows, start)]
        if not parts:
            return None
        return SoftLabels(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _spread(self, rows: Rows, start: int) -> Iterator[tuple[Rows, Rows, npt.NDArray[np.float32]]]:
        """Yield the triples of the block of ``rows`` from ``start``, if it has any."""
        places = np.interp(self.find_scores(rows[start : start + _BLOCK]), self.anchors, np.arange(len(self.anchors)))
        lower = np.floor(places).astype(np.int64)
        upper = (places - lower)[:, None]
        next_anchor = np.minimum(lower + 1, len(self.anchors) - 1)
        shares = (1 - upper) * self._distributions[lower] + upper * self._distributions[next_anchor]
        texts, classes = np.nonzero(shares * (shares < 1))  # without the texts that have a single class
        if len(texts):
            yield texts + start, classes, shares[texts, classes].astype(np.float32)

    @cached_property
    def _distributions(self) -> Scores:
        return spread_anchors(self.anchors, SIGMA)


def spread_anchors(anchors: Scores, sigma: float) -> Scores:
    """Return a distribution (C, C) over ``anchors`` (C,) for each of them, whose mean it is.

    It has the mass of a Gaussian around the anchor in the bin of each other anchor: a histogram loss (Imani and White,
    "Improving Regression Performance with Distributional Losses", ICML 2018; Farebrother et al., "Stop Regressing:
    Training Value Functions via Classification for Scalable Deep RL", ICML 2024). Bins meet halfway between neighbors,
    and the first and the last one are open. Distances are counted in anchors, so that ``sigma`` suits uneven ones.

    Uneven anchors and open bins move the mean. Each share is therefore multiplied by exp(t * anchor), with the t that
    moves it back: of all distributions with that mean, this is the closest one to the Gaussian's in Kullback-Leibler
    divergence (Csiszar, "I-Divergence Geometry of Probability Distributions and Minimization Problems", 1975). The
    distribution of the first and of the last anchor is that anchor alone.
    """
    from scipy.special import ndtr  # noqa: PLC0415 - prediction does not need scipy

    places = np.arange(len(anchors))
    edges = np.append(places - 0.5, np.inf)
    edges[0] = -np.inf
    masses = np.diff(ndtr((edges - places[:, None]) / sigma), axis=1)
    spread = np.eye(len(anchors))
    for k in places[1:-1]:
        near = masses[k] >= _MIN_SHARE
        spread[k, near] = _tilt(masses[k, near], anchors[near] - anchors[k])
    return spread


def _tilt(shares: Scores, distances: Scores) -> Scores:
    """Return ``shares`` (K,) times exp(t * distances), with a sum of 1 and a mean of the ``distances`` (K,) of 0."""
    from scipy.optimize import brentq  # noqa: PLC0415 - prediction does not need scipy

    distances = distances / np.abs(distances).max()

    def tilted(t: float) -> Scores:
        exponents = t * distances
        return np.asarray(shares * np.exp(exponents - exponents.max()), np.float64)

    bound = _MAX_EXPONENT / np.abs(distances[distances != 0]).min()
    found = tilted(brentq(lambda t: float(tilted(t) @ distances), -bound, bound, xtol=1e-14, maxiter=1000))
    return np.asarray(found / found.sum(), np.float64)
