"""Tests of the statistics that compare predictions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from textrnn.evaluation.comparison import Candidate, compare, holm, mcnemar_exact, texts_needed

RNG = np.random.default_rng(7)
TRUE = RNG.choice(list("abcd"), 400).tolist()


def predict(accuracy: float) -> list[str]:
    """Return labels of which about the share ``accuracy`` is right."""
    return [label if RNG.random() < accuracy else str(RNG.choice(list("abcde"))) for label in TRUE]


WEAK, MIDDLE, STRONG = (Candidate(f"{share}", predict(share)) for share in (0.5, 0.7, 0.9))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (3, 17), (17, 3), (40, 41)])
def test_mcnemar_is_a_binomial_test(first: int, second: int) -> None:
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_exact(first, second) == pytest.approx(expected)


def test_holm_multiplies_the_smallest_most_and_keeps_the_order() -> None:
    # sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.05 * 1, none below the one before
    assert holm([0.03, 0.01, 0.05, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.01, 0.03], 3) == pytest.approx([0.03, 0.06])  # two of three tests


def test_the_texts_needed_have_the_power() -> None:
    needed = texts_needed(30, 20, texts=500)
    assert needed is not None
    # as many texts with the same shares, drawn often: about 80 % of the exact tests are significant
    drawn = np.random.default_rng(1).multinomial(needed, [0.06, 0.04, 0.9], size=1000)
    power = np.mean([mcnemar_exact(first, second) < 0.05 for first, second, _ in drawn.tolist()])
    assert power == pytest.approx(0.8, abs=0.06)
    assert texts_needed(4, 4, texts=100) is None
    assert texts_needed(1, 0, texts=1) == 6  # fewer can never show anything


def test_metrics_are_those_of_scikit_learn() -> None:
    found = compare(TRUE, [WEAK, MIDDLE, STRONG])
    for run, candidate in zip(found.runs, (WEAK, MIDDLE, STRONG), strict=True):
        assert run.macro_f1 == pytest.approx(f1_score(TRUE, candidate.labels, average="macro"))
        assert run.accuracy == np.mean(np.array(TRUE) == np.array(candidate.labels))


def test_the_bootstrap_interval_is_that_of_resampled_texts() -> None:
    found = compare(TRUE, [WEAK, MIDDLE]).differences[0]
    rng, rows = np.random.default_rng(3), np.array([TRUE, WEAK.labels, MIDDLE.labels])
    samples = []
    for _ in range(200):
        true, first, second = rows[:, rng.integers(0, len(TRUE), len(TRUE))]
        samples.append(f1_score(true, second, average="macro") - f1_score(true, first, average="macro"))
    assert found.macro_f1_interval == pytest.approx(np.quantile(samples, (0.025, 0.975)), abs=0.015)
    assert found.macro_f1_interval[0] < found.macro_f1 < found.macro_f1_interval[1]


def test_several_comparisons_are_corrected_and_repeatable() -> None:
    found = compare(TRUE, [WEAK, MIDDLE, STRONG])
    assert [(d.run, d.against) for d in found.differences] == [("0.7", "0.5"), ("0.9", "0.5")]
    assert [d.accuracy_p for d in found.differences] == holm([d.accuracy_p_uncorrected for d in found.differences])
    assert found.differences[1].texts_needed is None
    assert found == compare(TRUE, [WEAK, MIDDLE, STRONG])
    assert (
        found.differences[0].macro_f1_interval != compare(TRUE, [WEAK, MIDDLE], seed=1).differences[0].macro_f1_interval
    )


def test_the_best_run_can_be_the_reference() -> None:
    found = compare(TRUE, [WEAK, STRONG, MIDDLE], against=None)
    assert found.against == "0.9"
    assert all(d.accuracy < 0 and d.macro_f1 < 0 for d in found.differences)


def test_equal_predictions_differ_in_nothing() -> None:
    difference = compare(TRUE, [WEAK, Candidate("copy", WEAK.labels)]).differences[0]
    assert (difference.accuracy_p, difference.macro_f1_p, difference.texts_needed) == (1, 1, None)
    assert difference.macro_f1_interval == (0, 0)


def test_label_sets_are_right_if_all_labels_are() -> None:
    true = ["a\tb", "a", "", "b"]
    first, second = Candidate("1", ["b\ta", "a", "", ""]), Candidate("2", ["a", "a", "b", "b"])
    found = compare(true, [first, second])
    assert [run.accuracy for run in found.runs] == [0.75, 0.5]
    hot = [[[label in labels for label in "ab"] for labels in rows] for rows in (true, first.labels, second.labels)]
    expected = [f1_score(hot[0], hot[i], average="macro") for i in (1, 2)]
    assert [run.macro_f1 for run in found.runs] == pytest.approx(expected)
