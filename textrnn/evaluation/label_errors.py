"""Probable label errors, found by confident learning.

Source: Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, 2021. The
probabilities are those of a model that did not see the text in training, as in cross-validation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LabelErrors:
    """Rows with a probably wrong label, the most probable error first.

    ``rows`` (n,) int64 are indices of texts, ``suggested`` (n,) int64 the label that each probably has instead.
    ``score`` (n,) float32 in [0, 1] grows with the probability of an error (see :func:`score_rows`).
    """

    rows: Rows
    suggested: Rows
    score: Probabilities

    def __len__(self) -> int:
        return len(self.rows)


def find_label_errors(probabilities: Probabilities, true: Rows) -> LabelErrors:
    """Return the rows that count for another label than their own in the confident joint.

    A row counts for the most probable of the labels that it reaches the threshold of (see :func:`find_thresholds`).
    The rows are ranked by :func:`score_rows`.

    Args:
        probabilities: (B, C) float32, held-out probabilities.
        true: (B,) int, the label of each row.
    """
    confident = np.where(probabilities >= find_thresholds(probabilities, true), probabilities, -np.inf)
    suggested = confident.argmax(axis=1).astype(np.int64)
    rows = np.flatnonzero(np.isfinite(confident).any(axis=1) & (suggested != true))
    score = score_rows(probabilities, true)
    rows = rows[np.argsort(-score[rows], kind="stable")].astype(np.int64)
    return LabelErrors(rows, suggested[rows], score[rows])


def find_thresholds(probabilities: Probabilities, true: Rows) -> Probabilities:
    """Return the threshold (C,) float32 of each label: the mean probability of it in the rows that have it.

    A label without rows has the threshold infinity, so it is never suggested.
    """
    own = probabilities[np.arange(len(true)), true]
    counts = np.bincount(true, minlength=probabilities.shape[1])
    sums = np.bincount(true, weights=own, minlength=probabilities.shape[1])
    means = np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)
    thresholds: Probabilities = means.astype(np.float32)
    return thresholds


def score_rows(probabilities: Probabilities, true: Rows) -> Probabilities:
    """Return a score (B,) float32 in [0, 1] for every row that grows with the probability of a label error.

    It is 1 - self-confidence: the probability of all other labels together. Sort all rows by it, highest first, to rank
    a whole file. Of planted errors this finds more than the normalized margin (benchmarks/label_errors.py).
    """
    scores: Probabilities = 1 - probabilities[np.arange(len(true)), true]
    return scores
