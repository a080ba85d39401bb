"""The list of mistakes: which texts, in which order, in which format."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from samples import SENTENCES, make_config, make_model
from textrnn.data.reading.examples import Example
from textrnn.evaluation.mistakes import (
    Mistake,
    list_mistakes,
    list_multi_label_mistakes,
    rank_mistakes,
)
from textrnn.evaluation.predictions import predict_examples
from textrnn.inference.engine import Engine
from textrnn.tokenization.tokenizer import Tokenizer

TRUE = ["a", "b", "c", "a", "new", "b"]
EXAMPLES = [Example(label, text, 3 * i) for i, (label, text) in enumerate(zip(TRUE, SENTENCES, strict=True))]


def make_mistake(confidence: float, margin: float, loss: float, text: str = "") -> Mistake:
    return Mistake(7, "a", "b", confidence, margin, loss, text)


def test_wrong_texts_are_listed_with_their_lines(tokenizer: Tokenizer) -> None:
    engine = Engine(make_model(tokenizer, make_config(model__hidden=8)))
    found = list_mistakes(predict_examples(engine, EXAMPLES), EXAMPLES)
    predicted = [p[0] for p in engine.predict(SENTENCES)]
    wrong = [i for i, p in enumerate(predicted) if p.label != TRUE[i]]
    assert [m.line_number for m in found] == [3 * i for i in wrong]
    for i, mistake in zip(wrong, found, strict=True):
        assert (mistake.label, mistake.predicted_label, mistake.text) == (TRUE[i], predicted[i].label, SENTENCES[i])
        assert mistake.confidence == pytest.approx(predicted[i].probability)
    assert next(m for m in found if m.label == "new").loss == math.inf


def test_wrong_label_sets_are_listed(tokenizer: Tokenizer) -> None:
    config = make_config(model__hidden=8, data__multi_label=True)
    engine = Engine(replace(make_model(tokenizer, config), thresholds=(0.5, 0.5, 0.5)))
    assigned = engine.predict(SENTENCES)
    labels = ["\t".join(sorted(p.label for p in found)) for found in assigned]
    examples = [Example(label, text, i) for i, (label, text) in enumerate(zip(labels, SENTENCES, strict=True))]
    assert list_multi_label_mistakes(engine, examples) == []
    other = [*examples[:2], replace(examples[2], label="a\tnew"), *examples[3:]]
    (found,) = list_multi_label_mistakes(engine, other)
    p = np.exp(engine.predict_log_probabilities([SENTENCES[2]])[0])
    assert (found.line_number, found.label, found.loss) == (2, "a|new", math.inf)
    assert found.confidence == pytest.approx(np.where(p >= 0.5, p, 1 - p).min(), rel=1e-4)


def test_mistakes_are_ranked() -> None:
    mistakes = [make_mistake(0.9, 0.1, 5.0), make_mistake(0.8, 0.7, math.inf), make_mistake(0.9, 0.6, 1.0)]
    a, b, c = mistakes
    assert rank_mistakes(mistakes, "confidence") == [a, c, b]
    assert rank_mistakes(mistakes, "loss") == [b, a, c]
    assert rank_mistakes(mistakes, "margin") == [b, c, a]
