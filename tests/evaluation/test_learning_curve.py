"""Learning curves: the fitted law, and what the curve says about more texts."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from textrnn.evaluation.learning_curve import Curve, PowerLaw, fit_curve, fit_power_law


def test_the_law_behind_exact_errors_is_found() -> None:
    law = PowerLaw(limit=0.08, scale=2.5, rate=0.4)
    texts = [100, 200, 400, 800, 1600]
    found = fit_power_law(texts, [law.predict_error(n) for n in texts])
    assert found.predict_error(3200) == pytest.approx(law.predict_error(3200), abs=1e-4)
    assert (found.limit, found.rate) == (pytest.approx(0.08, abs=1e-3), pytest.approx(0.4, abs=1e-2))


@pytest.mark.parametrize("errors", [[0.0, 0.0, 0.0], [0.2, 0.2, 0.2], [0.1, 0.2, 0.3]])
def test_a_curve_that_does_not_fall_estimates_no_gain(errors: list[float]) -> None:
    law = fit_power_law([10, 20, 40], errors)
    assert law.predict_error(80) == pytest.approx(sum(errors) / 3, abs=0.01)


def test_points_are_means_with_deviations() -> None:
    curve = fit_curve({10: [0.5, 0.7], 20: [0.8, 0.8]})
    assert [(point.texts, point.deviation) for point in curve.points] == [(10, pytest.approx(0.2 / 2**0.5)), (20, 0)]
    assert curve.points[0].mean == pytest.approx(0.6)
    assert curve.doubled_texts == 40
    assert curve.doubled_accuracy > 0.8


def test_a_curve_is_flat_if_twice_the_texts_promise_less_than_seeds_differ_by() -> None:
    rising = fit_curve({100: [0.5, 0.5, 0.5], 200: [0.6, 0.61, 0.59], 400: [0.7, 0.71, 0.69]})
    flat = fit_curve({100: [0.70, 0.72, 0.68], 200: [0.71, 0.73, 0.69], 400: [0.71, 0.73, 0.69]})
    assert (rising.is_flat, flat.is_flat) == (False, True)
    sure = fit_curve({100: [0.88, 0.88], 200: [0.884, 0.884], 400: [0.886, 0.886]})
    assert (sure.is_gain_noise, sure.is_flat) == (False, True)  # a gain of some 0.1 points
    assert rising.gain > rising.noise == pytest.approx(0.01)
    assert Curve.from_dict(asdict(rising)) == rising
