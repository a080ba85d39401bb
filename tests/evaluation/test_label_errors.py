import numpy as np
import pytest

from textrnn.evaluation.label_errors import find_label_errors, find_thresholds, score_rows


def make_probabilities(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_confidently_predicted_other_labels_are_errors():
    probabilities = make_probabilities([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.95, 0.05]])
    errors = find_label_errors(probabilities, np.array([0, 0, 1, 1, 1]))
    assert errors.rows.tolist() == [4]
    assert errors.suggested.tolist() == [0]
    assert errors.score == pytest.approx([0.95])


def test_most_certain_error_comes_first():
    probabilities = make_probabilities([[0.9, 0.1]] * 4 + [[0.1, 0.9]] * 4 + [[0.92, 0.08], [0.99, 0.01]])
    errors = find_label_errors(probabilities, np.array([0] * 4 + [1] * 6))
    assert errors.rows.tolist() == [9, 8]


def test_text_below_the_threshold_of_the_other_label_is_no_error():
    # rows labelled 0 are predicted with 0.9, so 0.6 is not confident
    probabilities = make_probabilities([[0.9, 0.1]] * 4 + [[0.1, 0.9]] * 4 + [[0.6, 0.4]])
    assert len(find_label_errors(probabilities, np.array([0] * 4 + [1] * 5))) == 0


def test_error_of_a_rare_label_needs_no_majority():
    # label 1 is rarely certain: 0.4 is as much as its own rows have
    probabilities = make_probabilities([[0.9, 0.1]] * 6 + [[0.6, 0.4]] * 2 + [[0.58, 0.42]])
    errors = find_label_errors(probabilities, np.array([0] * 6 + [1] * 2 + [0]))
    assert errors.rows.tolist() == [8]
    assert errors.suggested.tolist() == [1]


def test_threshold_is_the_mean_probability_of_the_own_label():
    probabilities = make_probabilities([[0.9, 0.1, 0], [0.7, 0.3, 0], [0.4, 0.6, 0]])
    thresholds = find_thresholds(probabilities, np.array([0, 0, 1]))
    assert thresholds[:2] == pytest.approx([0.8, 0.6])
    assert np.isinf(thresholds[2])


def test_label_without_texts_is_never_suggested():
    probabilities = make_probabilities([[0.1, 0.1, 0.8], [0.1, 0.1, 0.8]])
    assert 2 not in find_label_errors(probabilities, np.array([0, 1])).suggested


def test_every_row_has_a_score():
    probabilities = make_probabilities([[0.5, 0.5], [1.0, 0.0], [0.2, 0.8]])
    assert score_rows(probabilities, np.array([0, 0, 0])) == pytest.approx([0.5, 0.0, 0.8])
