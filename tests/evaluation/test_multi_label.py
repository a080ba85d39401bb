"""The evaluation of a multi-label model equals the report of scikit-learn; thresholds have the highest F1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import classification_report, f1_score

from samples import SENTENCES, calibration_error, make_config, make_model
from textrnn.data.reading.examples import Example
from textrnn.evaluation.multi_label import evaluate_multi_label, tune_thresholds
from textrnn.inference.engine import Engine
from textrnn.tokenization.tokenizer import Tokenizer

THRESHOLDS = (0.45, 0.55, 0.5)
SETS = [["a", "b"], [], ["c"], ["b", "c", "a"], ["new", "b"], ["newer"]]
LABELS = ["a", "b", "c", "new", "newer"]


@pytest.fixture(scope="module")
def engine(tokenizer: Tokenizer) -> Engine:
    model = make_model(tokenizer, make_config(model__hidden=8, data__multi_label=True))
    return Engine(replace(model, thresholds=THRESHOLDS, temperature=1.25))


EXAMPLES = [Example("\t".join(labels), text, i) for i, (labels, text) in enumerate(zip(SETS, SENTENCES, strict=True))]


@pytest.mark.parametrize("threshold", [None, 0.0, 0.48, 0.5, 1.0])
def test_scores_equal_scikit_learn(engine: Engine, threshold: float | None) -> None:
    found = evaluate_multi_label(engine, EXAMPLES, threshold=threshold)
    predicted = [{p.label for p in row} for row in engine.predict(SENTENCES, threshold=threshold)]
    true, given = ([[label in row for label in LABELS] for row in rows] for rows in (SETS, predicted))
    report = classification_report(np.array(true), np.array(given), output_dict=True, zero_division=0)
    assert found.texts == 6
    assert found.correct == sum(set(a) == b for a, b in zip(SETS, predicted, strict=True))
    assert found.accuracy == pytest.approx(found.correct / 6)
    for average in ("micro", "macro", "weighted"):
        assert getattr(found, f"{average}_f1") == pytest.approx(report[f"{average} avg"]["f1-score"])
    assert found.labels == LABELS
    for index, row in enumerate(found.classes):
        expected = report[str(index)]
        got = {"precision": row.precision, "recall": row.recall, "f1-score": row.f1, "support": row.support}
        assert got == pytest.approx(expected)
    thresholds = [*(THRESHOLDS if threshold is None else [threshold] * 3), None, None]
    assert [row.threshold for row in found.classes] == thresholds
    assert (found.unknown_texts, found.unknown_labels) == (2, ["new", "newer"])


def test_the_loss_is_the_binary_cross_entropy(engine: Engine) -> None:
    p = np.exp(engine.predict_log_probabilities(SENTENCES).astype(np.float64))
    has = np.array([[label in row for label in "abc"] for row in SETS])
    expected = -np.log(np.where(has, p, 1 - p)).sum(axis=1).mean()
    found = evaluate_multi_label(engine, EXAMPLES)
    assert found.loss == pytest.approx(expected, abs=1e-6)
    p = 1 / (1 + np.exp(-engine.predict_logits(SENTENCES).astype(np.float64)))
    uncalibrated = -np.log(np.where(has, p, 1 - p)).sum(axis=1).mean()
    assert found.loss_uncalibrated == pytest.approx(uncalibrated, abs=1e-6)
    assert found.loss != pytest.approx(uncalibrated, abs=1e-4)


def test_the_ece_covers_all_probabilities(engine: Engine) -> None:
    found = evaluate_multi_label(engine, EXAMPLES, threshold=0.9)  # the threshold does not matter
    has = np.array([label in row for row in SETS for label in "abc"])
    logits = engine.predict_logits(SENTENCES).astype(np.float64).ravel()
    for error, temperature in ((found.calibration_error, 1.25), (found.calibration_error_uncalibrated, 1.0)):
        expected = calibration_error(1 / (1 + np.exp(-logits / temperature)), has)
        assert error == pytest.approx(expected, abs=1e-6)
    assert found.calibration_error != found.calibration_error_uncalibrated
    assert found.temperature == 1.25


def test_labels_that_do_not_occur_are_in_no_average(engine: Engine) -> None:
    found = evaluate_multi_label(engine, [Example("", "x", 1)], threshold=1.0)
    assert (found.accuracy, found.micro_f1, found.macro_f1, found.weighted_f1) == (1.0, 0.0, 0.0, 0.0)
    assert found.to_dict()["classes"][0]["support"] == 0


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_has_a_higher_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = rng.random((40, 3)) < [0.05, 0.3, 0.9]
    true[0] = True
    probabilities = (rng.random((40, 3)) + true).round(1 + seed % 3).astype(np.float32) / 2  # some of them equal
    found = tune_thresholds(true, probabilities)
    assert found.shape == (3,)
    for label, threshold in enumerate(found):
        p, has = probabilities[:, label], true[:, label]
        best = max(f1_score(has, p >= other, zero_division=0) for other in [0.0, *p])
        assert f1_score(has, p >= threshold) == pytest.approx(best)
        assert not np.isin(threshold, p)


def test_a_threshold_is_halfway_between_probabilities() -> None:
    true = np.array([[True], [True], [False], [False]])
    assert tune_thresholds(true, np.array([[0.9], [0.75], [0.25], [0.1]], np.float32)).tolist() == [0.5]
    assert tune_thresholds(true[:2], np.array([[0.5], [0.25]], np.float32)).tolist() == [0.125]


def test_a_label_that_no_text_has_gets_one_half() -> None:
    assert tune_thresholds(np.zeros((3, 1), np.bool_), np.full((3, 1), 0.9, np.float32)).tolist() == [0.5]
