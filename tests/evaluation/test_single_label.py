"""The evaluation against scikit-learn's own report on the same predictions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import classification_report

from samples import SENTENCES, make_config, make_model
from textrnn.data.formats import Example
from textrnn.evaluation.single_label import evaluate
from textrnn.inference.engine import Engine
from textrnn.models.calibration import expected_calibration_error
from textrnn.serialization.model_file import SavedModel
from textrnn.tokenization.tokenizer import Tokenizer

TRUE = ["a", "b", "c", "a", "new", "b"]


def make(tokenizer: Tokenizer) -> SavedModel:
    return make_model(tokenizer, make_config(model__hidden=8))


@pytest.fixture(scope="module")
def engine(tokenizer: Tokenizer) -> Engine:
    return Engine(replace(make(tokenizer), temperature=0.5))


def test_scores_are_those_of_scikit_learn(engine: Engine) -> None:
    examples = [Example(label, text, i) for i, (label, text) in enumerate(zip(TRUE, SENTENCES, strict=True), start=1)]
    found = evaluate(engine, examples)
    predicted = [p[0].label for p in engine.predict(SENTENCES)]
    report = classification_report(TRUE, predicted, output_dict=True, zero_division=0)
    assert found.correct == sum(a == b for a, b in zip(TRUE, predicted, strict=True))
    assert found.accuracy == pytest.approx(found.correct / 6)
    assert found.macro_f1 == pytest.approx(report["macro avg"]["f1-score"])
    assert found.weighted_f1 == pytest.approx(report["weighted avg"]["f1-score"])
    assert found.labels == ["a", "b", "c", "new"]
    for logits in found.classes:
        if logits.label in report:
            assert logits.f1 == pytest.approx(report[logits.label]["f1-score"])
            assert logits.support == report[logits.label]["support"]
    assert np.array(found.confusion).sum(axis=1).tolist() == [2, 2, 1, 1]
    assert np.array(found.confusion).trace() == found.correct
    log_probabilities = engine.predict_log_probabilities(SENTENCES)
    wanted = -np.mean([log_probabilities[i]["abc".index(label)] for i, label in enumerate(TRUE) if label != "new"])
    assert found.loss == pytest.approx(wanted, abs=1e-6)


def test_loss_and_calibration_are_there_with_the_temperature_and_without(tokenizer: Tokenizer, engine: Engine) -> None:
    examples = [Example(label, text, i) for i, (label, text) in enumerate(zip(TRUE, SENTENCES, strict=True), start=1)]
    found, plain = (evaluate(Engine(replace(make(tokenizer), temperature=t)), examples) for t in (0.5, 1.0))
    assert (found.temperature, plain.temperature) == (0.5, 1.0)
    assert found.loss != plain.loss
    assert found.loss_uncalibrated == plain.loss == plain.loss_uncalibrated
    assert found.calibration_error != plain.calibration_error
    assert found.calibration_error_uncalibrated == plain.calibration_error == plain.calibration_error_uncalibrated
    # the error is that of what predict prints, where a text of a label that the model does not know is wrong
    given = [p[0] for p in engine.predict(SENTENCES)]
    right = np.array([p.label == label for p, label in zip(given, TRUE, strict=True)])
    wanted = expected_calibration_error(np.array([p.probability for p in given]), right)
    assert found.calibration_error == pytest.approx(wanted)
    assert (found.correct, found.confusion) == (plain.correct, plain.confusion)


def test_a_label_that_the_model_does_not_know_is_counted_wrong(engine: Engine) -> None:
    found = evaluate(engine, [Example("new", "where is my parcel", 1)])
    assert (found.accuracy, found.loss, found.unknown_texts, found.unknown_labels) == (0.0, None, 1, ["new"])
    assert not math.isnan(found.macro_f1)
