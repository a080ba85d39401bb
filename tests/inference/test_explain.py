"""Explanations: effects are differences of predicted probabilities, and parts are words as a reader sees them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from samples import SENTENCES, make_config, make_model
from textrnn.data.batch import Ids
from textrnn.inference.engine import Engine
from textrnn.inference.explain import MAX_PARTS, MAX_WORD_PIECES, explain, find_parts
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer

TOLERANCE = 1e-6  # of a probability: the batches differ


def make_engine(tokenizer: Tokenizer, *, multi_label: bool = False, **values: object) -> Engine:
    model = make_model(tokenizer, make_config(model__hidden=8, data__multi_label=multi_label, **values))
    return Engine(replace(model, temperature=0.5, thresholds=(0.4, 0.5, 0.6) if multi_label else None))


def probabilities_of(engine: Engine, texts: list[str]) -> np.ndarray:
    return np.exp(engine.predict_log_probabilities(texts))


def test_an_effect_is_the_probability_with_a_word_minus_that_without(tokenizer: Tokenizer) -> None:
    engine = make_engine(tokenizer)
    for text in SENTENCES:
        words = text.split()
        found = explain(engine, text)
        assert [part.text for part in found.parts] == words
        best = engine.predict([text])[0][0]
        assert found.labels == (best.label,)
        assert found.probabilities == pytest.approx([best.probability], abs=TOLERANCE)
        column = engine.labels.index(best.label)
        without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
        expected = best.probability - probabilities_of(engine, without)[:, column]
        assert [part.effects[0] for part in found.parts] == pytest.approx(expected, abs=TOLERANCE)
        assert np.abs(expected).max() > 1e-3


def test_any_labels_can_be_explained(tokenizer: Tokenizer) -> None:
    engine = make_engine(tokenizer)
    both = explain(engine, SENTENCES[0], ["c", "a"])
    assert both.labels == ("c", "a")
    for number, label in enumerate("ca"):
        one = explain(engine, SENTENCES[0], label)
        assert one.labels == (label,)
        assert one.probabilities == both.probabilities[number : number + 1]
        assert [part.effects for part in one.parts] == [part.effects[number : number + 1] for part in both.parts]
    with pytest.raises(ValueError, match="no label 'd'"):
        explain(engine, SENTENCES[0], ["a", "d"])


@pytest.mark.parametrize("text", ["", "  ", "the", "\u2603", "주문한", "kettle"])
def test_without_its_only_part_a_text_is_empty(tokenizer: Tokenizer, text: str) -> None:
    engine = make_engine(tokenizer)
    found = explain(engine, text, "a")
    assert "".join(part.text for part in found.parts) == text.strip()
    if len(found.parts) == 1:
        with_text, without = probabilities_of(engine, [text, ""])[:, 0]
        assert found.parts[0].effects == pytest.approx([with_text - without], abs=TOLERANCE)


def test_text_beyond_the_maximum_length_has_no_parts(tokenizer: Tokenizer) -> None:
    text = "the kettle boils in two minutes"
    engine = make_engine(tokenizer, data__max_length=4, data__long_texts="cut")
    read = "".join(tokenizer.encode_pieces(text)[:4]).replace("\u2581", " ").strip()
    assert " ".join(part.text for part in explain(engine, text).parts) == read


def test_words_begin_at_spaces() -> None:
    assert find_parts([]) == []
    assert find_parts(["\u2581a", "b", "\u2581c", "d", "e", "\u2581f"]) == [0, 2, 5]
    assert find_parts(["a", "\u2581", "b", "\u2581c"]) == [0, 1, 3]


def test_a_long_word_and_an_only_word_are_split() -> None:
    assert find_parts(["\u2581a", "b", "c"]) == [0, 1, 2]
    assert find_parts(["\u2581", "a", "b"]) == [0, 2]
    longest = ["\u2581a", *"b" * (MAX_WORD_PIECES - 1)]
    assert find_parts([*longest, "\u2581c"]) == [0, MAX_WORD_PIECES]
    assert find_parts(["\u2581c", *longest, "d"]) == list(range(MAX_WORD_PIECES + 2))


@pytest.mark.parametrize("words", [MAX_PARTS, MAX_PARTS + 1, 3 * MAX_PARTS - 1])
def test_the_number_of_parts_is_limited(tokenizer: Tokenizer, words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(tokenizer, data__max_length=10_000)
    calls: list[int] = []
    score = engine.forward_ids

    def watch(ids: Ids, lengths: np.ndarray, *, threads: int | None = None) -> np.ndarray:
        calls.append(len(lengths))
        return score(ids, lengths, threads=threads)

    monkeypatch.setattr(engine, "forward_ids", watch)
    text = " ".join((["late", "parcel", "again"] * words)[:words])
    found = explain(engine, text, "a")
    assert max(calls) <= MAX_PARTS + 1
    assert len(calls) == 1  # all in one call
    assert " ".join(part.text for part in found.parts) == text
    longest = max(len(part.text.split()) for part in found.parts)
    assert longest == -(-words // MAX_PARTS)


def test_bytes_and_unknown_characters_are_shown_unchanged(tokenizer: Tokenizer) -> None:
    lines = [line.encode() for line in SENTENCES[:3] * 3]
    options = {"num_threads": 1, "byte_fallback": True}
    with_bytes = train_tokenizer(lines, vocab_size=400, hard_vocab_limit=False, options=options).tokenizer
    for some in (tokenizer, with_bytes):
        found = explain(make_engine(some), "the \u2603 is 환불")
        assert [part.text for part in found.parts] == ["the", "\u2603", "is", "환불"]


def test_in_json_an_effect_is_a_number_or_a_list(tokenizer: Tokenizer) -> None:
    text = SENTENCES[1]
    for multi_label in (False, True):
        engine = make_engine(tokenizer, multi_label=multi_label)
        given = [found.label for found in engine.predict([text])[0]]
        found = explain(engine, text)
        assert list(found.labels) == given
        rows = json.loads(json.dumps(found.to_dict()))["parts"]
        assert [row["text"] for row in rows] == text.split()
        for row, part in zip(rows, found.parts, strict=True):
            expected = [round(effect, 6) for effect in part.effects]
            assert row["effect"] == (expected if multi_label else expected[0])


def test_a_text_without_labels_has_parts_without_effects(tokenizer: Tokenizer) -> None:
    engine = make_engine(tokenizer, multi_label=True)
    engine.thresholds = np.ones(3)
    found = explain(engine, "my parcel")
    assert (found.labels, found.probabilities) == ((), ())
    assert found.to_dict() == {"parts": [{"text": "my", "effect": []}, {"text": "parcel", "effect": []}]}
