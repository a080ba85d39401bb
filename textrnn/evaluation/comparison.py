"""Comparison of predictions of the same labelled texts: figures, McNemar's test, and a paired bootstrap of macro F1.

McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", Psychometrika
1947. Holm, "A simple sequentially rejective multiple
test procedure", Scandinavian Journal of Statistics 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import bdtr, ndtri

from textrnn.data.labels import LabelSetIndex
from textrnn.evaluation.bootstrap import Floats, draw_counts, measure_macro_f1

ALPHA, POWER = 0.05, 0.8
RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Candidate:
    """The predictions of one run.

    ``labels`` are those of each text, several joined by tabs. ``confidence`` (B,) is the probability of each (None:
    unknown), as are ``loss``, ``calibration_error`` and ``size``, the bytes of the model file.
    """

    name: str
    labels: Sequence[str]
    confidence: npt.NDArray[np.float32] | None = None
    loss: float | None = None
    calibration_error: float | None = None
    size: int | None = None


@dataclass(frozen=True)
class RunFigures:
    """The metrics of one run; accuracy is the share of texts with exactly the right labels."""

    name: str
    accuracy: float
    macro_f1: float
    loss: float | None
    calibration_error: float | None
    size: int | None


@dataclass(frozen=True)
class Difference:
    """The metrics of ``run`` minus those of ``against``, with their tests.

    ``only_run_right`` and ``only_against_right`` count texts. The ``p`` values are two-sided and corrected for the
    number of comparisons, the ``uncorrected`` ones are not, nor is ``macro_f1_interval`` (95 %). ``texts_needed``
    would show the observed difference in accuracy with a probability of 0.8 (None: it is 0, or significant already).
    """

    run: str
    against: str
    accuracy: float
    only_run_right: int
    only_against_right: int
    accuracy_p: float
    accuracy_p_uncorrected: float
    macro_f1: float
    macro_f1_interval: tuple[float, float]
    macro_f1_p: float
    macro_f1_p_uncorrected: float
    texts_needed: int | None


@dataclass(frozen=True)
class Comparison:
    """The metrics of all runs, and the differences of all but ``against`` to it."""

    texts: int
    against: str
    seed: int
    runs: tuple[RunFigures, ...]
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain values for JSON."""
        return asdict(self)


def compare(true: Sequence[str], runs: Sequence[Candidate], *, against: int | None = 0, seed: int = 42) -> Comparison:
    """Compare ``runs`` with the run of index ``against`` (None: the one with the highest accuracy, then macro F1).

    ``true`` has the labels of B texts as each run has them. ``seed`` is that of the bootstrap.
    """
    counts = _Counts(true, runs)
    figures = [
        RunFigures(run.name, accuracy, macro_f1, run.loss, run.calibration_error, run.size)
        for run, accuracy, macro_f1 in zip(runs, counts.correct.mean(axis=1).tolist(), counts.macro_f1, strict=True)
    ]
    against_best = against is None
    if against is None:
        against = max(range(len(runs)), key=lambda i: (figures[i].accuracy, figures[i].macro_f1))
    others = [index for index in range(len(runs)) if index != against]
    pairs = [np.count_nonzero(_differ(counts.correct, index, against), axis=1).tolist() for index in others]
    samples = [counts.bootstrap(index, against, seed=seed) for index in others]
    accuracy_p = [mcnemar_exact(*pair) for pair in pairs]
    macro_f1_p = [_bootstrap_p(sample) for sample in samples]
    tests = math.comb(len(runs), 2) if against_best else len(others)  # the best could have been any
    corrected = zip(holm(accuracy_p, tests), accuracy_p, holm(macro_f1_p, tests), macro_f1_p, strict=True)
    reference, differences = figures[against], []
    for index, (own, other), sample, (p, raw_p, f1_p, raw_f1_p) in zip(others, pairs, samples, corrected, strict=True):
        needed = None if p < ALPHA else texts_needed(own, other, texts=len(true), alpha=ALPHA / tests)
        low, high = np.quantile(sample, (ALPHA / 2, 1 - ALPHA / 2)).tolist()
        differences.append(
            Difference(
                run=figures[index].name,
                against=reference.name,
                accuracy=(own - other) / len(true),
                only_run_right=own,
                only_against_right=other,
                accuracy_p=p,
                accuracy_p_uncorrected=raw_p,
                macro_f1=figures[index].macro_f1 - reference.macro_f1,
                macro_f1_interval=(low, high),
                macro_f1_p=f1_p,
                macro_f1_p_uncorrected=raw_f1_p,
                texts_needed=needed,
            )
        )
    return Comparison(len(true), reference.name, seed, tuple(figures), tuple(differences))


def mcnemar_exact(first: int, second: int) -> float:
    """Return the two-sided p of McNemar's exact test: ``first`` texts only one run gets right, ``second`` the other.

    If both are equally accurate, either count follows a binomial distribution with p = 0.5.
    """
    return min(1.0, 2 * float(bdtr(min(first, second), first + second, 0.5)))


def holm(p_values: Sequence[float], tests: int | None = None) -> list[float]:
    """Return ``p_values`` corrected by Holm's step-down method, in the same order.

    ``tests`` is the number of tests that they were selected from (None: they are all).
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.array(p_values)[order] * ((tests or len(order)) - np.arange(len(order)))
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return [float(p) for p in corrected]


def texts_needed(first: int, second: int, *, texts: int, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """Return how many texts would show the observed difference in accuracy with probability ``power``.

    ``first`` and ``second`` of ``texts`` texts are right for one run only. With the discordance d = (first + second) /
    texts and the difference e = |first - second| / texts it is (z_alpha sqrt(d) + z_power sqrt(d - e^2))^2 / e^2
    (Connor, "Sample size for testing differences in proportions for the paired-sample design", Biometrics 1987), but
    at least as many as the exact test needs if all that differ agree. Returns None if there is no difference.
    """
    if first == second:
        return None
    d, e = (first + second) / texts, abs(first - second) / texts
    connor = (-ndtri(alpha / 2) * math.sqrt(d) + ndtri(power) * math.sqrt(max(0.0, d - e * e))) ** 2 / (e * e)
    return math.ceil(max(float(connor), math.ceil(math.log2(2 / alpha)) / d))


def _differ(correct: npt.NDArray[np.bool_], first: int, second: int) -> npt.NDArray[np.bool_]:
    """Return which texts (2, B) only the run ``first``, and only ``second``, gets right."""
    return np.stack([correct[first] & ~correct[second], correct[second] & ~correct[first]])


def _bootstrap_p(differences: Floats) -> float:
    """Return the achieved significance level: twice the share of resamples on the other side of 0, which count too."""
    other = int(min((differences <= 0).sum(), (differences >= 0).sum()))
    return min(1.0, 2 * (other + 1) / (len(differences) + 1))


class _Counts:
    """True and predicted label sets as rows of a sparse matrix with a column for each label."""

    def __init__(self, true: Sequence[str], runs: Sequence[Candidate]) -> None:
        index = LabelSetIndex()
        self._true = index.encode(true)
        self._predicted = [index.encode(run.labels) for run in runs]
        members, C = index.label_sets.members, index.label_sets.label_count
        self._members = csr_array((np.ones(len(members.ids)), members.ids, members.offsets), shape=(len(members), C))
        self.correct: npt.NDArray[np.bool_] = np.stack([self._true == predicted for predicted in self._predicted])

    @property
    def macro_f1(self) -> list[float]:
        """The macro F1 of each run, over the labels that occur or that it predicts, as in scikit-learn."""
        found = []
        for predicted in self._predicted:
            pairs, counts = np.unique(np.stack([self._true, predicted]), axis=1, return_counts=True)
            weights = counts[None].astype(np.float64)
            found.append(float(measure_macro_f1(weights, self._members[pairs[0]], self._members[pairs[1]])[0]))
        return found

    def bootstrap(self, first: int, second: int, *, seed: int) -> Floats:
        """Return the macro F1 of the run ``first`` minus that of ``second`` on each resample of the texts.

        Texts with the same true and predicted labels are of one kind.
        """
        columns = np.stack([self._true, self._predicted[first], self._predicted[second]])
        kinds, counts = np.unique(columns, axis=1, return_counts=True)
        rng, found = np.random.default_rng(seed), np.empty(RESAMPLES)
        true, own, other = (self._members[kind] for kind in kinds)
        for rows, drawn in draw_counts(counts, rng, resamples=RESAMPLES, width=self._members.shape[1]):
            found[rows] = measure_macro_f1(drawn, true, own) - measure_macro_f1(drawn, true, other)
        return found
