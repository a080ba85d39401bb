"""Learning curves: the accuracy by the number of training texts, and an estimate for more texts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_LEAST_GAIN = 0.05  # of the errors


@dataclass(frozen=True)
class Point:
    """The mean accuracy in [0, 1] of several runs with about ``texts`` training texts, and its deviation (n - 1)."""

    texts: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class PowerLaw:
    """The error ``limit + scale * texts ** -rate``.

    Source: Cortes, Jackel, Solla, Vapnik, Denker, "Learning Curves: Asymptotic Values and Rate of Convergence", NIPS
    1993.
    """

    limit: float
    scale: float
    rate: float

    def predict_error(self, texts: float) -> float:
        """Return the error in [0, 1] with ``texts`` training texts."""
        return min(1.0, self.limit + self.scale / math.pow(texts, self.rate))


@dataclass(frozen=True)
class Curve:
    """The measured points of a learning curve, the law fitted to all runs, and its accuracy at twice the texts."""

    points: list[Point]
    law: PowerLaw
    doubled_texts: int
    doubled_accuracy: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Curve:
        """Return the curve that ``dataclasses.asdict`` made ``values`` of; raises KeyError or TypeError for others."""
        points, law = [Point(**point) for point in values["points"]], PowerLaw(**values["law"])
        return cls(points, law, values["doubled_texts"], values["doubled_accuracy"])

    @property
    def gain(self) -> float:
        """The estimated accuracy with twice the texts minus that of the last point."""
        return self.doubled_accuracy - self.points[-1].mean

    @property
    def noise(self) -> float:
        """The deviation of single runs around the mean of the last two points (root mean square)."""
        return math.sqrt(statistics.fmean(point.deviation**2 for point in self.points[-2:]))

    @property
    def is_gain_noise(self) -> bool:
        """True if twice the texts promise no more than runs with other seeds differ by."""
        return self.gain <= self.noise

    @property
    def is_flat(self) -> bool:
        """True if twice the texts promise only noise, or fewer than one error in twenty."""
        return self.is_gain_noise or self.gain < _LEAST_GAIN * (1 - self.points[-1].mean)


def fit_curve(runs: Mapping[int, Sequence[float]]) -> Curve:
    """Return the curve of the accuracies of several runs by their number of training texts, in rising order."""
    points = [Point(texts, statistics.fmean(found), _deviation(found)) for texts, found in runs.items()]
    texts = [texts for texts, found in runs.items() for _ in found]
    errors = [1 - accuracy for found in runs.values() for accuracy in found]
    law, doubled = fit_power_law(texts, errors), 2 * points[-1].texts
    return Curve(points, law, doubled, 1 - law.predict_error(doubled))


def fit_power_law(texts: Sequence[int], errors: Sequence[float]) -> PowerLaw:
    """Return the law with the least squared difference to ``errors``, by scipy's trust region.

    The limit is at least 0, and the rate in [0.01, 1]: few runs do not determine it better.
    """
    from scipy.optimize import least_squares  # noqa: PLC0415 - slow to import, and rarely needed

    n, error = np.array(texts, np.float64), np.array(errors, np.float64)
    largest = float(n.max())

    def differences(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray:
        limit, scale, rate = values
        difference: np.ndarray = limit + scale * (n / largest) ** -rate - error
        return difference

    start = [error.min() / 2, max(error.min() / 2, 1e-3), 0.5]
    limit, scale, rate = least_squares(differences, start, bounds=([0, 0, 0.01], [1, 1, 1])).x.tolist()
    return PowerLaw(limit, scale * largest**rate, rate)


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
