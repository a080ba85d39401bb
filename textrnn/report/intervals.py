"""95 % bootstrap intervals of metrics; see :mod:`textrnn.evaluation.bootstrap`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textrnn.evaluation.bootstrap import draw_counts, encode_classes, measure_macro_f1
from textrnn.evaluation.predictions import Predictions
from textrnn.evaluation.single_label import Evaluation
from textrnn.models.calibration import BINS, find_bins

RESAMPLES = 500
_SEED = 0
_VALUES = 1024  # groups of texts with similar loss or confidence; below this number each text is one

Interval = tuple[float, float]
Floats = npt.NDArray[np.float64]


def compute_intervals(predictions: Predictions, evaluation: Evaluation) -> dict[str, Interval]:
    """Return the intervals of accuracy, macro_f1, loss and calibration_error; none of them for no texts.

    ``evaluation`` is that of ``predictions``.
    """
    if not len(predictions):
        return {}
    rng = np.random.default_rng(_SEED)
    accuracy, macro_f1 = _resample_confusion(evaluation, rng)
    found = {"accuracy": bound(accuracy), "macro_f1": bound(macro_f1)}
    loss = predictions.calibrated.loss
    if (known := ~np.isnan(loss)).any():
        found["loss"] = bound(_resample_mean(loss[known].astype(np.float64), rng))
    found["calibration_error"] = bound(_remove_bias(*_resample_calibration(predictions, rng)))
    return found


def bound(values: Floats) -> Interval:
    """Return the central 95 % of ``values``."""
    low, high = np.quantile(values, [0.025, 0.975]).tolist()
    return low, high


def _remove_bias(resampled: Floats, error: float) -> Floats:
    """Return ``resampled`` calibration errors with the mean ``error``: resampling adds noise to the gap of each bin."""
    shifted: Floats = np.maximum(resampled - (resampled.mean() - error), 0)
    return shifted


def _resample_confusion(evaluation: Evaluation, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return resampled accuracies and macro F1 (RESAMPLES,), the latter over labels that occur or were predicted."""
    C = len(evaluation.labels)
    true, predicted, counts = np.array(evaluation.confusion, np.int64).T
    members, assigned = encode_classes(true, C), encode_classes(predicted, C)
    accuracy, macro_f1 = np.empty(RESAMPLES), np.empty(RESAMPLES)
    for rows, drawn in draw_counts(counts, rng, resamples=RESAMPLES, width=C):
        accuracy[rows] = drawn[:, true == predicted].sum(axis=1) / counts.sum()
        macro_f1[rows] = measure_macro_f1(drawn, members, assigned)
    return accuracy, macro_f1


def _resample_mean(values: Floats, rng: np.random.Generator) -> Floats:
    groups = np.array_split(np.sort(values), min(len(values), _VALUES))
    counts = np.array([len(group) for group in groups])
    means = np.array([group.mean() for group in groups])
    return _resample_sums(counts, means, rng) / len(values)


def _resample_sums(counts: npt.NDArray[np.int64], values: Floats, rng: np.random.Generator) -> Floats:
    """Return the sums (RESAMPLES, ...) of the ``values`` (K, ...) of resampled texts, ``counts`` (K,) of each kind."""
    drawn = draw_counts(counts, rng, resamples=RESAMPLES)
    return np.concatenate([block @ values for _, block in drawn])


def _resample_calibration(predictions: Predictions, rng: np.random.Generator) -> tuple[Floats, float]:
    """Return resampled calibration errors (RESAMPLES,), and the error itself.

    The cells are predictions of similar confidence that are right or wrong.
    """
    confidence = predictions.calibrated.confidence
    bins = find_bins(confidence).astype(np.int32)
    fine = np.minimum((confidence * _VALUES).astype(np.int32), _VALUES - 1)
    cells = (bins * _VALUES + fine) * 2 + predictions.correct
    all_counts = np.bincount(cells)
    kinds = np.flatnonzero(all_counts)
    counts = all_counts[kinds]
    gaps = np.bincount(cells, confidence - predictions.correct)[kinds] / counts
    by_bin = np.zeros((len(kinds), BINS))
    by_bin[np.arange(len(kinds)), kinds // (2 * _VALUES)] = gaps
    resampled: Floats = np.abs(_resample_sums(counts, by_bin, rng)).sum(axis=1) / len(confidence)
    return resampled, float(np.abs(counts @ by_bin).sum()) / len(confidence)


class PoissonBootstrap:
    """Resampled metrics of multi-label texts, which have no few distinct cells, added in parts.

    Each resample weighs each text by a Poisson number with mean 1 (Chamandy et al., "Estimating Uncertainty for Massive
    Data Streams", 2012).
    """

    resamples = 200
    MAX_LABELS = 500
    """With more labels macro F1 has no interval: its cost is that of resamples x texts x labels."""

    def __init__(self, labels: int) -> None:
        self._rng = np.random.default_rng(_SEED)
        self._texts = 0
        self._has_macro = labels <= self.MAX_LABELS
        self._sums = np.zeros((self.resamples, 6))
        self._gaps, self._gap = np.zeros((self.resamples, BINS)), np.zeros(BINS)
        self._counts = np.zeros((2, self.resamples, labels)) if self._has_macro else None

    def add(
        self,
        true: npt.NDArray[np.bool_],
        predicted: npt.NDArray[np.bool_],
        *,
        unknown: npt.NDArray[np.int64],
        loss: Floats,
        probabilities: npt.NDArray[np.float32],
    ) -> None:
        """Add B texts: ``true``, ``predicted`` and ``probabilities`` (B, C); their ``loss`` (B,).

        ``unknown`` (B,) counts the labels that the model does not know, all of them missed.
        """
        weights = self._rng.poisson(1, (self.resamples, len(true))).astype(np.float32)
        hits = true & predicted
        right = (true == predicted).all(axis=1) & (unknown == 0)
        columns = (np.ones(len(true)), right, hits.sum(axis=1), true.sum(axis=1) + unknown, predicted.sum(axis=1), loss)
        self._sums += weights @ np.stack(columns, axis=1)
        bins = find_bins(probabilities)
        rows = np.arange(len(true))[:, None] * BINS
        gaps = np.bincount((rows + bins).ravel(), (probabilities - true).ravel(), len(true) * BINS)
        self._gaps += weights @ gaps.reshape(-1, BINS)
        self._gap += gaps.reshape(-1, BINS).sum(axis=0)
        self._texts += len(true)
        if self._counts is not None:
            self._counts[0] += weights @ hits.astype(np.float32)
            self._counts[1] += weights @ (true.astype(np.float32) + predicted)

    def compute(self, *, labels: int, unknown_labels: int) -> dict[str, Interval]:
        """Return the intervals of accuracy, micro_f1, macro_f1, loss and calibration_error of C ``labels``."""
        texts, right, hits, true, predicted, loss = self._sums.T
        if not texts.all():
            return {}
        error = float(np.abs(self._gap).sum()) / (self._texts * labels)
        found = {
            "accuracy": bound(right / texts),
            "micro_f1": bound(2 * hits / np.maximum(true + predicted, 1)),
            "loss": bound(loss / texts),
            "calibration_error": bound(_remove_bias(np.abs(self._gaps).sum(axis=1) / (texts * labels), error)),
        }
        if self._counts is not None:
            hits, occurs = self._counts
            f1 = np.where(occurs > 0, 2 * hits / np.maximum(occurs, 1), 0)
            found["macro_f1"] = bound(f1.sum(axis=1) / np.maximum((occurs > 0).sum(axis=1) + unknown_labels, 1))
        return found
