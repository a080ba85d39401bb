"""Facts about a SentencePiece model."""

from __future__ import annotations

import pytest

from samples import SENTENCES
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.tokenizer_facts import describe_tokenizer
from textrnn.tokenization.vocabulary_extension import add_words

LINES = [sentence.encode() for sentence in SENTENCES * 3]


def test_defaults(tokenizer: Tokenizer) -> None:
    facts = describe_tokenizer(tokenizer)
    assert (facts.type, facts.pieces, facts.size) == ("unigram", len(tokenizer), len(tokenizer.model))
    assert (facts.normalization, facts.keeps_spaces) == ("nmt_nfkc", False)
    assert (facts.byte_fallback, facts.user_defined_symbols) == (False, ())


@pytest.mark.parametrize("model_type", ["bpe", "word", "char"])
def test_types(model_type: str) -> None:
    options = {"num_threads": 1}
    trained = train_tokenizer(LINES, model_type=model_type, vocab_size=200, hard_vocab_limit=False, options=options)
    assert describe_tokenizer(trained.tokenizer).type == model_type


def test_options_of_the_trainer() -> None:
    options = {
        "byte_fallback": True,
        "user_defined_symbols": "<mask>,새갈",
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "num_threads": 1,
    }
    facts = describe_tokenizer(
        train_tokenizer(LINES, vocab_size=400, hard_vocab_limit=False, options=options).tokenizer
    )
    assert facts.byte_fallback
    assert facts.keeps_spaces
    assert (facts.normalization, facts.user_defined_symbols) == ("identity", ("<mask>", "새갈"))


def test_appended_words_count(tokenizer: Tokenizer) -> None:
    longer = Tokenizer(add_words(tokenizer, ["ketchup"]), name="longer")
    assert describe_tokenizer(longer).pieces == len(tokenizer) + 1
    assert describe_tokenizer(longer).normalization == "nmt_nfkc"
