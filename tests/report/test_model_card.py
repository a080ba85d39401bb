"""The text of a model card: names as code, and metadata that YAML reads back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from samples import make_config, make_model
from textrnn.report.model_card import Result, Results, write_model_card
from textrnn.tokenization.tokenizer import Tokenizer

RESULTS = Results('test: "a".tsv', 12, [Result("accuracy", "accuracy", 0.75, "75.00 %", "47.41 to 91.25")])


def test_names_stay_as_they_are(tokenizer: Tokenizer) -> None:
    model = replace(make_model(tokenizer, make_config(model__hidden=8)), labels=("<b>", "a: *b*", "c`d"))
    card = write_model_card("my: model", model, results=RESULTS, version="1", metadata={"license": "mit"})
    _, header, body = card.split("---\n", 2)
    metadata = yaml.safe_load(header)
    assert metadata["license"] == "mit"
    [entry] = metadata["model-index"]
    assert entry["name"] == "my: model"
    assert entry["results"][0]["dataset"]["name"] == RESULTS.data
    assert entry["results"][0]["metrics"] == [{"type": "accuracy", "name": "accuracy", "value": 0.75}]
    assert "Labels (3): `<b>`, `a: *b*`, `` c`d ``" in body
    assert f"## Evaluation on {RESULTS.data} (12 texts)" in body
    assert "| accuracy | 75.00 % | 47.41 to 91.25 |" in body


def test_many_labels_are_cut(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer, make_config(model__hidden=8))
    many = replace(model, labels=tuple(f"label{i}" for i in range(60)))
    card = write_model_card("m", many, results=None, version="1")
    assert "`label49`, and 10 more" in card
    assert "model-index" not in card


@pytest.mark.parametrize(
    ("long_texts", "reading"),
    [
        ("cut", "the first 40 pieces of a text are read"),
        ("windows", "up to 3 windows of 40 pieces of a text are read, from its beginning to its end"),
        ("whole", "a text is read to its end"),
    ],
)
def test_the_card_says_what_the_model_reads(tokenizer: Tokenizer, long_texts: str, reading: str) -> None:
    model = make_model(tokenizer, make_config(model__hidden=8, data__max_length=40, data__long_texts=long_texts))
    assert f"- Text: {reading}\n" in write_model_card("drinks", model, results=None, version="1")
