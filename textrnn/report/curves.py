"""The points of the page's figures, from confidences or from counts by probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.models.calibration import BINS, find_bins

HISTOGRAM_BINS = 1000
_THRESHOLDS = np.arange(0, 100, 2) / 100
_COVERAGES = np.arange(2, 101, 2) / 100
_LENGTH_BINS = 8

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LengthBin:
    """The texts of ``low`` to ``high`` pieces, and the mean of what is measured of them."""

    low: int
    high: int
    texts: int
    mean: float


def trace_thresholds(confidence: npt.NDArray[np.float32], correct: Bools) -> list[tuple[float, float | None, float]]:
    """Return (threshold, precision, recall) for a model that labels only texts of at least that confidence.

    Precision is the share of labelled texts that is right (None without any), recall that of all texts.
    """
    order = np.argsort(confidence, kind="stable")
    right = np.append(np.cumsum(correct[order][::-1])[::-1], 0)
    starts = np.searchsorted(confidence[order], _THRESHOLDS, side="left")
    points = []
    for threshold, start in zip(_THRESHOLDS.tolist(), starts.tolist(), strict=True):
        kept = len(order) - start
        points.append((threshold, right[start] / kept if kept else None, right[start] / max(1, len(order))))
    return points


def trace_coverage(confidence: npt.NDArray[np.float32], correct: Bools) -> list[tuple[float, float]]:
    """Return (coverage, accuracy) of the most confident texts: the risk-coverage curve of selective classification.

    El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 2010.
    """
    if not len(confidence):
        return []
    right = np.cumsum(correct[np.argsort(-confidence, kind="stable")])
    kept = np.unique(np.maximum(1, np.round(_COVERAGES * len(right)).astype(np.int64)))
    return [(number / len(right), float(right[number - 1]) / number) for number in kept.tolist()]


class Reliability:
    """Mean probability and share of correct predictions in 15 bins of equal width, added in parts."""

    def __init__(self) -> None:
        self._counts, self._sums, self._right = np.zeros(BINS, np.int64), np.zeros(BINS), np.zeros(BINS, np.int64)

    def add(self, probabilities: npt.NDArray[np.float32], correct: Bools) -> None:
        """Add predictions (n,)."""
        bins = find_bins(probabilities)
        self._counts += np.bincount(bins, minlength=BINS)
        self._sums += np.bincount(bins, probabilities, BINS)
        self._right += np.bincount(bins[correct], minlength=BINS)

    @property
    def points(self) -> list[tuple[float, float, int]]:
        """The mean probability, the share that is correct, and the number of predictions of each bin that has any."""
        used = np.flatnonzero(self._counts)
        counts = self._counts[used]
        columns = (self._sums[used] / counts, self._right[used] / counts, counts)
        return list(zip(*(column.tolist() for column in columns), strict=True))


class LabelHistogram:
    """Numbers of (text, label) pairs by probability, with and without the label, for a threshold shared by all."""

    def __init__(self) -> None:
        self._counts = np.zeros((2, HISTOGRAM_BINS), np.int64)
        self._missed = 0

    def add(self, probabilities: npt.NDArray[np.float32], true: Bools, *, missed: int) -> None:
        """Add pairs (n,); ``missed`` are labels that the model does not know."""
        bins = np.minimum((probabilities * HISTOGRAM_BINS).astype(np.int64), HISTOGRAM_BINS - 1)
        self._counts += np.bincount(bins + HISTOGRAM_BINS * true, minlength=2 * HISTOGRAM_BINS).reshape(2, -1)
        self._missed += missed

    def trace_thresholds(self) -> list[tuple[float, float | None, float]]:
        """Return (threshold, precision, recall), counted over all labels."""
        above = self._counts[:, ::-1].cumsum(axis=1)[:, ::-1]
        total = max(1, int(self._counts[1].sum()) + self._missed)
        points = []
        for threshold in _THRESHOLDS.tolist():
            wrong, right = above[:, round(threshold * HISTOGRAM_BINS)].tolist()
            points.append((threshold, right / (right + wrong) if right + wrong else None, right / total))
        return points


def measure_by_length(lengths: npt.NDArray[np.int32], values: Bools | Floats) -> list[LengthBin]:
    """Return the mean of ``values`` (B,), such as which texts are right, in up to 8 bins of about equal size.

    ``lengths`` (B,) are those of the texts in pieces.
    """
    if not len(lengths):
        return []
    edges = np.unique(np.quantile(lengths, np.arange(1, _LENGTH_BINS + 1) / _LENGTH_BINS, method="higher"))
    places = np.searchsorted(edges, lengths, side="left")
    bins = []
    for place in range(len(edges)):
        inside = places == place
        own = lengths[inside]
        bins.append(LengthBin(int(own.min()), int(own.max()), len(own), float(values[inside].mean())))
    return bins
