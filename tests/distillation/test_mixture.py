"""Targets of a student, and the choice of the mixture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from textrnn.distillation.mixture import MAX_TEXTS, Mixture, Trial, sample_rows

DRINKS = ("green tea with lemon", "black coffee with milk")
CLASSES = np.arange(200) % 2
TEXTS = [f"{DRINKS[number % 2]} {number}" for number in range(200)]
TRUE = np.eye(2, dtype=np.float32)[CLASSES]


def make_trial(*, teacher: np.ndarray | None, raw: np.ndarray) -> Trial:
    return Trial(TEXTS[:80], TRUE[:80], teacher, TEXTS[80:140], raw, TEXTS[140:], CLASSES[140:])


def test_a_temperature_above_1_softens_and_one_below_sharpens() -> None:
    p = np.array([[0.9, 0.1], [1, 0]], np.float32)
    assert Mixture(2.0).soften(p) == pytest.approx(np.array([[0.75, 0.25], [1, 0]]), abs=1e-6)
    assert Mixture(0.5).soften(p)[0] == pytest.approx([0.81 / 0.82, 0.01 / 0.82], abs=1e-6)
    assert Mixture(1.0).soften(p) is p


def test_targets_of_labelled_rows_mix_what_is_true_and_the_teacher() -> None:
    true, teacher = np.array([[1, 0]], np.float32), np.array([[0.5, 0.5]], np.float32)
    assert Mixture(1.0, 0.5).mix(true, teacher).tolist() == [[0.75, 0.25]]
    assert Mixture(1.0, 0.0).mix(true, teacher).tolist() == [[0.5, 0.5]]
    assert Mixture(2.0, 0.0).mix(true, None) is true


def test_a_wrong_teacher_of_labelled_rows_gets_no_share() -> None:
    notes: list[str] = []
    found = make_trial(teacher=1 - TRUE[:80], raw=TRUE[80:140]).choose({}, note=notes.append)
    assert found.true_share == 1
    assert notes[0].startswith("targets: temperature 1, 100 % true labels on labelled rows (chosen with an n-gram")


class KnownTrial(Trial):
    """A trial with known losses: 0.5 is the best temperature, and with it 0.75 the best share, by little."""

    def make_measure(self) -> Callable[[Mixture], npt.NDArray[np.float64]]:
        spread = np.linspace(-0.1, 0.1, len(self.valid))

        def measure(mixture: Mixture) -> npt.NDArray[np.float64]:
            sharp, share = mixture.temperature == 0.5, mixture.true_share
            mean = 1 - 0.5 * sharp - (0.001 if share == 0.75 else 0.3 if share == 0.0 and not sharp else 0)
            return mean + spread * (1 + share)

        return measure


@pytest.mark.parametrize("teacher", [TRUE[:80], None])
def test_only_a_value_that_is_better_beyond_doubt_replaces_the_default(teacher: np.ndarray | None) -> None:
    notes: list[str] = []
    raw = np.full((60, 2), 0.5, np.float32)
    found = KnownTrial(TEXTS[:80], TRUE[:80], teacher, TEXTS[80:140], raw, TEXTS[140:], CLASSES[140:])
    assert found.choose({}, note=notes.append) == Mixture(0.5, 1.0 if teacher is None else 0.5)
    assert "valid loss 0.5000 instead of 1.0000" in notes[0]


def test_a_temperature_for_answers_stays() -> None:
    raw = np.full((60, 2), 0.5, np.float32)
    assert make_trial(teacher=None, raw=raw).choose({"temperature": 3.0}, note=lambda _: None) == Mixture(3.0, 1.0)


def test_small_probabilities_do_not_vanish_together() -> None:
    even = np.full((1, 300), 1 / 300, np.float32)
    assert Mixture(0.05).soften(even) == pytest.approx(even)


def test_given_values_stay() -> None:
    fixed = {"temperature": 3.0, "true_share": 0.1}
    notes: list[str] = []
    assert make_trial(teacher=1 - TRUE[:80], raw=TRUE[80:140]).choose(fixed, note=notes.append) == Mixture(3.0, 0.1)
    assert not notes


def test_hard_answers_need_no_choice() -> None:
    assert make_trial(teacher=None, raw=TRUE[80:140]).choose({}, note=lambda _: None) == Mixture(1.0, 1.0)


def test_large_sets_are_sampled() -> None:
    assert sample_rows(3).tolist() == [0, 1, 2]
    rows = sample_rows(10 * MAX_TEXTS)
    assert len(set(rows.tolist())) == MAX_TEXTS
    assert (np.diff(rows) > 0).all()
    assert rows[-1] > 9 * MAX_TEXTS
