"""Calibration: known temperatures and shares are recovered, no probability becomes 1, and the ECE follows the paper."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize, minimize_scalar

from samples import calibration_error
from textrnn.models import calibration
from textrnn.models.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    PENALTY,
    fit_share,
    fit_temperature,
    mix,
    to_log_probabilities,
)

FloatArray = npt.NDArray[np.float64]


def softmax(logits: npt.NDArray[np.float32]) -> FloatArray:
    e = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def draw(n: int, *, multi_label: bool, seed: int = 1) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.generic]]:
    """Return logits, and true labels drawn with the probabilities of the logits."""
    rng = np.random.default_rng(seed)
    logits = (2 * rng.normal(size=(n, 6))).astype(np.float32)
    if multi_label:
        return logits, rng.random((n, 6)) < 1 / (1 + np.exp(-logits.astype(np.float64)))
    return logits, (softmax(logits).cumsum(axis=1)[:, :-1] < rng.random((n, 1))).sum(axis=1)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("factor", [1 / 4, 1.0, 3.0])
def test_overconfident_logits_are_corrected(multi_label: bool, factor: float) -> None:
    logits, true = draw(100_000, multi_label=multi_label)
    found = fit_temperature(logits * np.float32(factor), true)
    assert found == pytest.approx(factor, rel=0.015)  # about three standard deviations of such a draw
    # up to rounding, scaled logits get a scaled temperature
    assert found == pytest.approx(factor * fit_temperature(logits, true), rel=1e-6)
    undone = to_log_probabilities(logits * np.float32(factor), found, multi_label=multi_label)
    np.testing.assert_allclose(
        np.exp(undone), np.exp(to_log_probabilities(logits, 1.0, multi_label=multi_label)), atol=0.01
    )


def smoothed_loss(logits: npt.NDArray[np.float32], true: npt.NDArray[np.generic], log_temperature: float) -> float:
    """Return the loss of the docstring, computed differently."""
    doubt, C = 1 / (true.size + 2), logits.shape[1]
    x = logits.astype(np.float64) / np.exp(log_temperature)
    if true.ndim == 2:
        targets = np.where(true, 1 - doubt, doubt)
        return float((targets * np.logaddexp(0, -x) + (1 - targets) * np.logaddexp(0, x)).sum())
    targets = np.full(x.shape, doubt / (C - 1))
    targets[np.arange(len(x)), true.astype(int)] = 1 - doubt
    return -float((targets * (x - np.logaddexp.reduce(x, axis=1, keepdims=True))).sum())


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_no_other_temperature_has_a_lower_loss(multi_label: bool, seed: int) -> None:
    logits, true = draw(30, multi_label=multi_label, seed=seed)
    logits *= np.float32([0.3, 1, 3, 5, 8][seed])
    best = minimize_scalar(
        lambda at: smoothed_loss(logits, true, at),
        bounds=(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert fit_temperature(logits, true) == pytest.approx(np.exp(best.x), rel=1e-5)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.2, 3.0])
def test_the_penalty_draws_the_temperature_to_1(factor: float) -> None:
    logits, true = draw(60, multi_label=False)
    logits *= np.float32(factor)
    found = minimize_scalar(
        lambda at: smoothed_loss(logits, true, at) + 2 * abs(at), bounds=(-3, 3), method="bounded"
    ).x
    penalized, free = (np.log(fit_temperature(logits, true, penalty=penalty)) for penalty in (2.0, 0.0))
    assert penalized == pytest.approx(found, abs=1e-4)
    assert abs(penalized) < abs(free)
    assert penalized * free >= 0


def test_another_prior_scales_the_problem() -> None:
    logits, true = draw(60, multi_label=False)
    for factor in (0.5, 3.0):
        scaled = fit_temperature(np.float32(factor) * logits, true, penalty=PENALTY, prior=factor)
        assert scaled == pytest.approx(factor * fit_temperature(logits, true, penalty=PENALTY), rel=1e-5)
    assert fit_temperature(logits, np.full(60, -1), prior=100.0) == MAX_TEMPERATURE


def test_few_texts_keep_the_temperature_near_1_and_many_do_not() -> None:
    """On average over small sets whose best temperature is 1, the penalty lowers the loss on other texts."""
    others, classes = draw(5000, multi_label=False, seed=99)
    losses = {0.0: 0.0, PENALTY: 0.0}
    for seed in range(40):
        logits, true = draw(20, multi_label=False, seed=seed)
        for penalty in losses:
            temperature = fit_temperature(logits, true, penalty=penalty)
            losses[penalty] += smoothed_loss(others, classes, np.log(temperature)) / len(others) / 40
    none = smoothed_loss(others, classes, 0.0) / len(others)
    assert losses[0.0] > none + 0.01
    assert losses[PENALTY] < (losses[0.0] + none) / 2
    logits, true = draw(20_000, multi_label=False)
    assert fit_temperature(3 * logits, true, penalty=PENALTY) == pytest.approx(fit_temperature(3 * logits, true), 1e-3)


def test_block_size_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    for multi_label in (False, True):
        logits, true = draw(101, multi_label=multi_label)
        expected = fit_temperature(logits, true)
        monkeypatch.setattr(calibration, "_BLOCK", 6 * 10)
        assert fit_temperature(logits, true) == pytest.approx(expected, rel=1e-9)
        monkeypatch.undo()


@pytest.mark.parametrize("factor", [1.0, 5.0, 30.0])
def test_correct_predictions_do_not_give_probabilities_of_1(factor: float) -> None:
    classes = np.arange(300) % 3
    logits = (factor * np.eye(3)[classes]).astype(np.float32)
    temperature = fit_temperature(logits, classes)
    assert MIN_TEMPERATURE < temperature < MAX_TEMPERATURE
    right = np.exp(to_log_probabilities(logits, temperature, multi_label=False))[np.arange(300), classes]
    np.testing.assert_allclose(right, 301 / 302, rtol=1e-6)  # Laplace's rule of succession
    # multi-label: n counts pairs of text and label
    has, logits = np.eye(3, dtype=np.bool_)[classes], logits - np.float32(factor / 2)
    probabilities = np.exp(to_log_probabilities(logits, fit_temperature(logits, has), multi_label=True))
    np.testing.assert_allclose(np.where(has, probabilities, 1 - probabilities), 901 / 902, rtol=1e-6)


def test_wrong_predictions_give_the_temperature_at_the_bound() -> None:
    assert fit_temperature(-np.eye(3, dtype=np.float32), np.arange(3)) == pytest.approx(MAX_TEMPERATURE)
    tiny = np.float32(1e-6) * np.eye(3, dtype=np.float32)
    assert fit_temperature(tiny, np.arange(3)) == pytest.approx(MIN_TEMPERATURE)


def test_texts_without_a_known_class_are_ignored() -> None:
    logits, true = draw(200, multi_label=False)
    unknown = np.where(np.arange(200) % 3 == 0, -1, true)
    kept = np.flatnonzero(unknown >= 0)
    assert fit_temperature(logits, unknown) == fit_temperature(logits[kept], true[kept])


@pytest.mark.parametrize(
    ("logits", "true"),
    [
        (np.ones((4, 3)), np.full(4, -1)),
        (np.ones((0, 3)), np.zeros(0, np.int64)),
        (np.ones((0, 3)), np.zeros((0, 3), np.bool_)),
        (np.full((4, 3), 7.1), np.array([0, 1, 1, 2])),
        (np.array([[1, np.nan], [0, 1]]), np.array([0, 1])),
        (np.array([[1, np.inf], [0, 1]]), np.array([[True, False], [False, True]])),
    ],
    ids=["no known class", "no texts", "no sets", "equal logits", "nan", "inf"],
)
def test_uninformative_logits_keep_temperature_1(logits: FloatArray, true: npt.NDArray[np.generic]) -> None:
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        assert fit_temperature(logits.astype(np.float32), true) == 1.0


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[3e38, -3e38], [-3e38, 3e38], [1, 2]], np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert fit_temperature(logits, np.array([0, 1, 1])) == pytest.approx(MAX_TEMPERATURE)
        assert fit_temperature(logits, logits > 0) == pytest.approx(MAX_TEMPERATURE)


def test_the_ece_of_an_example_computed_by_hand() -> None:
    # bin 14 (0.867 to 0.933): 0.9 and 0.92, one of two correct: |0.91 - 0.5|; bin 9 (0.533 to 0.6): 0.55, 0.57 and
    # 0.59, all correct: |0.57 - 1|; bin 5 (0.267 to 0.333): 0.3, wrong: 0.3; the twelve others are empty
    probabilities = np.array([0.9, 0.92, 0.55, 0.57, 0.59, 0.3])
    right = np.array([True, False, True, True, True, False])
    value = 2 / 6 * 0.41 + 3 / 6 * 0.43 + 1 / 6 * 0.3
    assert calibration_error(probabilities, right) == pytest.approx(value)
    order = [4, 0, 5, 1, 3, 2]
    assert calibration_error(probabilities[order], right[order]) == pytest.approx(value)


def test_the_bounds_of_bins() -> None:
    certain = np.ones(4, np.float32)
    assert calibration_error(certain, np.array([True] * 4)) == 0.0
    assert calibration_error(certain, np.array([True, True, True, False])) == 0.25
    assert calibration_error(np.zeros(2), np.array([False, True])) == 0.5
    # the last bin holds (14/15, 1], the first [0, 1/15]; errors within a bin cancel out
    assert calibration_error(np.array([1.0, 0.95]), np.array([True, False])) == pytest.approx(0.475)
    assert calibration_error(np.array([1.0, 14 / 15]), np.array([True, False])) == pytest.approx(14 / 30)
    assert calibration_error(np.array([0.0, 1 / 15]), np.array([True, False])) == pytest.approx(7 / 15)
    # 0.2 is the upper end of a bin, not the lower end of the next
    assert calibration_error(np.array([0.2, 0.21]), np.array([True, False])) == pytest.approx(1.01 / 2)
    assert calibration_error(np.array([0.2, 0.19]), np.array([True, False])) == pytest.approx(0.61 / 2)
    assert calibration_error(np.zeros(0), np.zeros(0, np.bool_)) == 0.0


def test_the_fitted_temperature_lowers_the_ece() -> None:
    logits, true = draw(100_000, multi_label=False)
    errors = []
    for temperature in (1.0, fit_temperature(3 * logits, true)):
        p = np.exp(to_log_probabilities(3 * logits, temperature, multi_label=False))
        errors.append(calibration_error(p.max(axis=1), p.argmax(axis=1) == true))
    assert errors[0] > 0.1
    assert errors[1] < 0.01


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("factors", [(0.8, 0.4), (0.1, 2.0), (3.0, 1.0)])
def test_the_share_gives_the_lowest_loss(multi_label: bool, factors: tuple[float, float]) -> None:
    """The factors of a known mixture are recovered, as a different optimizer recovers them."""
    logits, true = draw(4000, multi_label=multi_label)
    first = np.random.default_rng(2).normal(size=logits.shape).astype(np.float32)
    second = (logits - factors[0] * first) / np.float32(factors[1])
    share = fit_share(first, second, true)
    found = minimize(
        lambda x: smoothed_loss(x[0] * first + x[1] * second, true, 0.0), np.array([0.5, 0.5]), method="Nelder-Mead"
    )
    assert share == pytest.approx(found.x[1] / found.x.sum(), abs=1e-3)
    assert share == pytest.approx(factors[1] / sum(factors), abs=0.03)
    mixed = mix(first, second, share)
    temperature = fit_temperature(mixed, true)
    assert 1 / temperature == pytest.approx(found.x.sum(), rel=2e-3)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_useless_model_gets_no_share(multi_label: bool) -> None:
    logits, true = draw(3000, multi_label=multi_label)
    has = true if multi_label else np.eye(logits.shape[1], dtype=bool)[true]
    wrong = np.random.default_rng(3).normal(size=logits.shape).astype(np.float32) - 0.5 * has.astype(np.float32)
    assert fit_share(logits, wrong, true) == 0.0
    assert fit_share(wrong, logits, true) == 1.0


def test_the_share_is_one_half_without_information() -> None:
    logits, true = draw(50, multi_label=False)
    assert fit_share(logits, logits, np.full(50, -1)) == 0.5
    broken = logits.copy()
    broken[3, 2] = np.nan
    assert fit_share(logits, broken, true) == fit_share(broken, logits, true) == 0.5
    assert 0 <= fit_share(logits, logits, true) <= 1


def test_the_share_ignores_unknown_classes_and_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, true = draw(500, multi_label=False)
    other = np.random.default_rng(4).normal(size=logits.shape).astype(np.float32) + logits / 2
    value = fit_share(logits, other, true)
    strangers = np.concatenate([true, np.full(40, -1)])
    more = [np.concatenate([part, part[:40] * 5]) for part in (logits, other)]
    assert fit_share(*more, strangers) == pytest.approx(value, rel=1e-6)
    monkeypatch.setattr(calibration, "_BLOCK", 64)
    assert fit_share(logits, other, true) == pytest.approx(value, rel=1e-6)


def test_logits_that_separate_all_texts_have_a_share() -> None:
    true = np.arange(90) % 3
    logits = np.eye(3, dtype=np.float32)[true] * 4
    weak = np.eye(3, dtype=np.float32)[true] * 0.1 + np.random.default_rng(5).normal(size=(90, 3)).astype(np.float32)
    assert 0 <= fit_share(logits, weak, true) < 0.5


@pytest.mark.parametrize("multi_label", [False, True])
def test_wider_bounds_suit_logits_of_any_scale(multi_label: bool) -> None:
    logits, true = draw(2000, multi_label=multi_label)
    usual = fit_temperature(logits, true)
    small = logits * np.float32(1e-5)
    assert fit_temperature(small, true) == pytest.approx(MIN_TEMPERATURE)
    assert fit_temperature(small, true, bounds=(1e-6, 1e6)) == pytest.approx(1e-5 * usual, rel=1e-4)


def test_probabilities_of_labels_give_their_temperature() -> None:
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 3, (2000, 3)).astype(np.float32)
    for multi_label in (False, True):
        targets = np.exp(to_log_probabilities(logits, 2.0, multi_label=multi_label)).astype(np.float32)
        assert fit_temperature(logits, targets, multi_label=multi_label) == pytest.approx(2, rel=0.01)
