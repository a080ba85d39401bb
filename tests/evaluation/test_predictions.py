"""Predictions of labelled texts, collected in parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from samples import make_config, make_model
from textrnn.data.reading.examples import Example
from textrnn.evaluation.predictions import PredictionsBuilder, predict_examples
from textrnn.inference.engine import Engine
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def saved_engine(tokenizer: Tokenizer) -> Engine:
    return Engine(replace(make_model(tokenizer, make_config(model__hidden=8)), temperature=1.5))


def test_parts_give_what_the_whole_gives(saved_engine: Engine) -> None:
    texts, labels = ["tea", "coffee please", "", "more tea"], ["zebra", saved_engine.labels[0], "apple", "zebra"]
    logits = saved_engine.predict_logits(texts)
    whole = predict_examples(saved_engine, [Example(*pair, 1) for pair in zip(labels, texts, strict=True)])
    builder = PredictionsBuilder(saved_engine)
    builder.add(labels[:1], logits[:1])
    builder.add(labels[1:], logits[1:])
    parts = builder.build()
    assert parts.labels == whole.labels == (*saved_engine.labels, "apple", "zebra")
    assert parts.known == len(saved_engine.labels)
    assert [parts.labels[index] for index in parts.true] == labels
    np.testing.assert_array_equal(parts.true, whole.true)
    np.testing.assert_allclose(parts.calibrated.confidence, whole.calibrated.confidence, rtol=1e-5)
    assert len(PredictionsBuilder(saved_engine).build()) == 0


def test_scores_are_those_of_the_probabilities(saved_engine: Engine) -> None:
    texts, label = ["tea", "coffee please"], saved_engine.labels[1]
    found = predict_examples(saved_engine, [Example(label, text, 1) for text in texts] + [Example("other", "tea", 3)])
    p = np.exp(saved_engine.predict_log_probabilities([*texts, "tea"]))
    best = np.sort(p, axis=1)
    np.testing.assert_allclose(found.calibrated.confidence, p.max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.margin, best[:, -1] - best[:, -2], rtol=1e-4)
    np.testing.assert_allclose(found.calibrated.loss[:2], -np.log(p[:2, 1]), rtol=1e-4)
    assert np.isnan(found.calibrated.loss[2])
    assert found.correct.tolist() == [*(p[:2].argmax(axis=1) == 1), False]
    assert found.calibrated.loss[0] != pytest.approx(found.uncalibrated.loss[0])
