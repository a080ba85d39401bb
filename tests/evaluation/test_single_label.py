"""The evaluation of a single-label model equals the report of scikit-learn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import classification_report, confusion_matrix

from samples import SENTENCES, calibration_error, make_config, make_model
from textrnn.data.reading.examples import Example
from textrnn.evaluation import single_label
from textrnn.evaluation.single_label import evaluate_single_label
from textrnn.inference.engine import Engine
from textrnn.models import calibration
from textrnn.serialization.model_file import SavedModel
from textrnn.tokenization.tokenizer import Tokenizer

TRUE = ["a", "b", "c", "a", "new", "b"]


def make(tokenizer: Tokenizer) -> SavedModel:
    return make_model(tokenizer, make_config(model__hidden=8))


@pytest.fixture(scope="module")
def engine(tokenizer: Tokenizer) -> Engine:
    return Engine(replace(make(tokenizer), temperature=0.5))


def test_scores_equal_scikit_learn(engine: Engine) -> None:
    examples = [Example(label, text, i) for i, (label, text) in enumerate(zip(TRUE, SENTENCES, strict=True), start=1)]
    found = evaluate_single_label(engine, examples)
    predicted = predict(engine)
    report = classification_report(TRUE, predicted, output_dict=True, zero_division=0)
    assert found.correct == sum(a == b for a, b in zip(TRUE, predicted, strict=True))
    assert found.accuracy == pytest.approx(found.correct / 6)
    assert found.macro_f1 == pytest.approx(report["macro avg"]["f1-score"])
    assert found.weighted_f1 == pytest.approx(report["weighted avg"]["f1-score"])
    assert found.labels == ["a", "b", "c", "new"]
    for row in found.classes:
        if row.label in report:
            assert row.f1 == pytest.approx(report[row.label]["f1-score"])
            assert row.support == report[row.label]["support"]
    assert np.array(found.confusion_matrix).sum(axis=1).tolist() == [2, 2, 1, 1]
    assert np.array(found.confusion_matrix).trace() == found.correct
    log_probabilities = engine.predict_log_probabilities(SENTENCES)
    expected = -np.mean([log_probabilities[i]["abc".index(label)] for i, label in enumerate(TRUE) if label != "new"])
    assert found.loss == pytest.approx(expected, abs=1e-6)


def test_loss_and_ece_are_reported_with_and_without_calibration(tokenizer: Tokenizer, engine: Engine) -> None:
    examples = [Example(label, text, i) for i, (label, text) in enumerate(zip(TRUE, SENTENCES, strict=True), start=1)]
    found, plain = (
        evaluate_single_label(Engine(replace(make(tokenizer), temperature=t)), examples) for t in (0.5, 1.0)
    )
    assert (found.temperature, plain.temperature) == (0.5, 1.0)
    assert found.loss != plain.loss
    assert found.loss_uncalibrated == plain.loss == plain.loss_uncalibrated
    assert found.calibration_error != plain.calibration_error
    assert found.calibration_error_uncalibrated == plain.calibration_error == plain.calibration_error_uncalibrated
    # the ECE is that of the printed predictions; an unknown label counts as wrong
    given = [p[0] for p in engine.predict(SENTENCES)]
    right = np.array([p.label == label for p, label in zip(given, TRUE, strict=True)])
    expected = calibration_error(np.array([p.probability for p in given]), right)
    assert found.calibration_error == pytest.approx(expected)
    assert (found.correct, found.confusion) == (plain.correct, plain.confusion)


def test_an_unknown_label_counts_as_wrong(engine: Engine) -> None:
    found = evaluate_single_label(engine, [Example("new", "where is my parcel", 1)])
    assert (found.accuracy, found.loss, found.unknown_texts, found.unknown_labels) == (0.0, None, 1, ["new"])
    assert not math.isnan(found.macro_f1)


def test_chunks_of_texts_give_the_same_evaluation(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = [Example(label, text, i) for i, (label, text) in enumerate(zip(TRUE, SENTENCES, strict=True), start=1)]
    whole = evaluate_single_label(engine, examples)
    for logits in (None, engine.predict_logits(SENTENCES)):
        with monkeypatch.context() as patch:
            patch.setattr(calibration, "MAX_LOGITS", 3 * 2)
            found = evaluate_single_label(engine, examples, logits=logits)
        assert replace(found, loss=0, loss_uncalibrated=0, calibration_error=0, calibration_error_uncalibrated=0) == (
            replace(whole, loss=0, loss_uncalibrated=0, calibration_error=0, calibration_error_uncalibrated=0)
        )
        for name in ("loss", "loss_uncalibrated", "calibration_error", "calibration_error_uncalibrated"):
            assert getattr(found, name) == pytest.approx(getattr(whole, name), rel=1e-5)


def test_the_confusion_of_many_labels_is_a_list_of_entries(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = [Example(label, text, i) for i, (label, text) in enumerate(zip(TRUE, SENTENCES, strict=True), start=1)]
    found = evaluate_single_label(engine, examples)
    dense = found.to_dict()["confusion"]
    assert dense == found.confusion_matrix == confusion_matrix(TRUE, predict(engine), labels=found.labels).tolist()
    monkeypatch.setattr(single_label, "MAX_MATRIX_LABELS", 3)
    entries = found.to_dict()["confusion"]
    assert entries == [
        [true, guess, dense[i][j]]
        for i, true in enumerate(found.labels)
        for j, guess in enumerate(found.labels)
        if dense[i][j]
    ]


def predict(engine: Engine) -> list[str]:
    return [p[0].label for p in engine.predict(SENTENCES)]
