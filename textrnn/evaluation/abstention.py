"""The confidence from which a model's labels are right often enough.

A threshold guarantees an error rate: of new texts of the same kind with at least this confidence, at most that share
gets a wrong label. The guarantee holds with a probability of 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.evaluation.predictions import Predictions

CONFIDENCE = 0.95
"""Probability that a guarantee holds."""
STARTS = (0.125, 0.25, 0.5, 1.0)
"""Shares of the most confident texts from which the search goes on to more texts."""
STEPS = 100
"""Shares of the texts that are tried."""


@dataclass(frozen=True)
class Guarantee:
    """A threshold for the texts that get ``label``, or for all (None), and what it guarantees.

    Of ``texts`` texts, ``covered`` have at least the confidence ``threshold``; ``errors`` of these are wrong. On new
    texts the share of errors among the covered ones is at most ``max_error``. ``threshold`` None: none keeps that, and
    nothing is covered.
    """

    label: str | None
    texts: int
    max_error: float
    threshold: float | None = None
    covered: int = 0
    errors: int = 0

    @property
    def coverage(self) -> float:
        """The share of texts with at least the confidence."""
        return self.covered / max(1, self.texts)

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain values for JSON."""
        return {
            "label": self.label,
            "texts": self.texts,
            "max_error": self.max_error,
            "threshold": self.threshold,
            "covered": self.covered,
            "coverage": self.coverage,
            "errors": self.errors,
        }


def fit_guarantee(predictions: Predictions, max_error: float) -> Guarantee:
    """Return the lowest threshold of all texts that guarantees at most the share ``max_error`` of errors."""
    return _fit(predictions.calibrated.confidence, predictions.correct, label=None, max_error=max_error)


def fit_guarantees(predictions: Predictions, max_error: float) -> list[Guarantee]:
    """Return a guarantee for each label of the model, about the texts that get this label.

    Each is kept with a probability of 95 % by itself.
    """
    found = []
    for index, label in enumerate(predictions.labels[: predictions.known]):
        own = predictions.predicted == index
        confidence, correct = predictions.calibrated.confidence[own], predictions.correct[own]
        found.append(_fit(confidence, correct, label=label, max_error=max_error))
    return found


def count_needed(max_error: float) -> int:
    """Return the least number of confident texts, all right, that can guarantee ``max_error`` in (0, 1)."""
    return math.ceil(math.log(_LEVEL) / math.log1p(-max_error))


def list_thresholds(guarantees: Sequence[Guarantee], labels: Sequence[str]) -> tuple[float, ...]:
    """Return the threshold of each of ``labels``; infinity if there is none."""
    of_label = {g.label: math.inf if g.threshold is None else g.threshold for g in guarantees}
    return tuple(of_label.get(label, of_label.get(None, math.inf)) for label in labels)


_LEVEL = (1 - CONFIDENCE) / len(STARTS)


def _fit(
    confidence: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_], *, label: str | None, max_error: float
) -> Guarantee:
    """Return the guarantee for n texts, given the ``confidence`` and whether the label is ``correct`` (n,).

    A share of the most confident texts is accepted if the upper bound of Clopper and Pearson for its errors ("The use
    of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 1934) is at most
    ``max_error``. Of many shares one would be accepted by chance, so they are tried in a fixed order, which stops at
    the first failure: from each of ``STARTS`` upwards, at a level divided by their number (Angelopoulos et al., "Learn
    then Test", arXiv 2110.01052, 2021, fixed sequence testing).
    """
    texts = len(confidence)
    rounded = np.floor(confidence.astype(np.float64) * 1e6) / 1e6  # a threshold has six digits, as printed ones have
    order = np.argsort(-rounded, kind="stable")
    falling, errors = rounded[order], np.cumsum(~correct[order])
    least, accepted = count_needed(max_error), 0
    for start in STARTS:
        for step in range(math.ceil(start * STEPS), STEPS + 1):
            count = math.ceil(texts * step / STEPS)
            if count < least:
                continue
            count = int(np.searchsorted(-falling, -falling[count - 1], side="right"))  # equal ones stay together
            if not _is_within(int(errors[count - 1]), count, max_error):
                break
            accepted = max(accepted, count)
    if not accepted:
        return Guarantee(label, texts, max_error)
    threshold = float(falling[accepted - 1])
    return Guarantee(label, texts, max_error, threshold, covered=accepted, errors=int(errors[accepted - 1]))


def _is_within(errors: int, count: int, max_error: float) -> bool:
    from scipy.special import bdtr  # noqa: PLC0415 - prediction does not need scipy

    return bool(bdtr(errors, count, max_error) <= _LEVEL)  # the same as: the upper bound is at most max_error
