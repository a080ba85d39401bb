"""The model card says what the model reads, its labels and its figures."""

from __future__ import annotations

import pytest

from samples import make_config, make_model
from textrnn.data.reading.examples import Example
from textrnn.evaluation.labelled_text import evaluate_examples
from textrnn.inference.engine import Engine
from textrnn.report.headline import Figure
from textrnn.report.model_card import write_model_card
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.mark.parametrize(
    ("long_texts", "reading"),
    [
        ("cut", "the first 40 pieces of a text are read"),
        ("windows", "up to 3 windows of 40 pieces of a text are read, from its beginning to its end"),
        ("whole", "a text is read to its end"),
    ],
)
def test_the_card_says_what_the_model_reads(tokenizer: Tokenizer, long_texts: str, reading: str) -> None:
    config = make_config(model__hidden=8, data__max_length=40, data__long_texts=long_texts)
    evaluation = evaluate_examples(Engine(make_model(tokenizer, config)), [Example("a", "late again", 1)])
    figures = [Figure("accuracy", "Accuracy", "100.0 %", None, "")]
    card = write_model_card("drinks", config, evaluation, figures=figures, data="test.tsv", version="1.0")
    assert f"- Text: {reading}\n" in card
    assert "| Accuracy | 100.0 % | - |" in card
    assert "- Labels (3): a, b, c\n" in card
