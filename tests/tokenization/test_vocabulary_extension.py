"""Added words: the choice, and that each becomes one piece and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from samples import SENTENCES
from textrnn.data.vectors.word_block import WordBlock
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.vocabulary_extension import add_words, choose_words, count_words

WORDS = ["refund", "refunds", "refunded", "the", "their", "boils", "kettles", "été", "x", "don't", "o" * 200, "책이야"]


def block(*words: str) -> WordBlock:
    return WordBlock([word.encode() for word in words], "a file", 1, 2, np.zeros((len(words), 2), np.float32))


def extend(tokenizer: Tokenizer, words: Iterable[str]) -> Tokenizer:
    return Tokenizer(add_words(tokenizer, words), name="extended")


def missing(tokenizer: Tokenizer, words: Iterable[str]) -> list[str]:
    pieces = set(tokenizer.list_pieces().values())
    return [word for word in words if "\u2581" + word not in pieces]


@pytest.fixture(scope="module", params=["unigram", "word"])
def small(request: pytest.FixtureRequest) -> Tokenizer:
    lines = [sentence.encode() for sentence in SENTENCES * 3]
    return train_tokenizer(lines, model_type=request.param, hard_vocab_limit=False).tokenizer


def test_each_word_becomes_one_piece_and_the_others_stay(small: Tokenizer) -> None:
    words = missing(small, WORDS)
    assert len(words) >= 8
    extended = extend(small, words)
    assert len(extended) == len(small) + len(words)
    assert [extended.encode_ids(word) for word in words] == [[len(small) + i] for i in range(len(words))]
    assert extended.encode_ids(" ".join(words)) == [*range(len(small), len(extended))]
    assert {i: extended.list_pieces()[i] for i in small.list_pieces()} == small.list_pieces()
    assert {i: extended.list_scores()[i] for i in small.list_pieces()} == small.list_scores()
    assert all(extended.list_words()[len(small) + i] == word for i, word in enumerate(words))
    assert extended.kind == small.kind
    rest = [word for sentence in SENTENCES for word in sentence.split() if word not in words]
    assert [extended.encode_ids(word) for word in rest] == [small.encode_ids(word) for word in rest]


def test_the_order_of_words_changes_only_their_ids(small: Tokenizer) -> None:
    words = missing(small, WORDS)
    one, other = extend(small, words), extend(small, words[::-1])
    text = "refundeds refundable their theirs kettlesful"
    assert one.encode_pieces(text) == other.encode_pieces(text)
    if one.kind == "unigram":
        assert one.encode_pieces("refundeds")[0] == "\u2581refunded"  # the longest prefix


def test_an_added_word_can_still_be_sampled(tokenizer: Tokenizer) -> None:
    extended = extend(tokenizer, ["kettleboils"])
    drawn = {tuple(extended.sample("kettleboils", ids=False, nbest_size=-1, alpha=0.3)) for _ in range(100)}
    assert ("\u2581kettleboils",) in drawn
    assert len(drawn) > 1


def test_adding_no_words_keeps_the_model(tokenizer: Tokenizer) -> None:
    assert add_words(tokenizer, []) == tokenizer.model


def test_words_are_counted_whole_and_by_their_letters(tokenizer: Tokenizer) -> None:
    texts = ["a refund, please", "Refund? don't", "\uff52efund now\u3000now (refund)"]
    counts = count_words([[text.encode() for text in texts[:1]], [text.encode() for text in texts[1:]]], tokenizer)
    assert counts == {
        **{"a": 1, "refund,": 1, "refund": 2, "please": 1, "Refund?": 1, "Refund": 1},
        **{"don't": 1, "don": 1, "now": 2, "(refund)": 1},
    }


def choose(words: list[list[str]], counts: dict[str, int], tokenizer: Tokenizer, limit: int = 100) -> list[str]:
    return choose_words([block(*part) for part in words], counts, tokenizer, limit=limit)


def test_frequent_words_of_the_text_come_first(tokenizer: Tokenizer) -> None:
    counts = {"Later": 2, "sooner": 5, "LATER": 1, "never": 9, "later": 3, "early": 2}
    file = [["of", "and", "early"], ["later", "sooner", "or"]]
    text = ["sooner", "later", "Later", "early", "LATER"]
    assert choose(file, counts, tokenizer) == [*text, "of", "and", "or"]
    # at most half of them, if the file has others
    assert choose(file, counts, tokenizer, limit=4) == ["sooner", "later", "of", "and"]
    assert choose(file, counts, tokenizer, limit=7) == ["sooner", "later", "Later", "of", "and", "early", "or"]
    assert choose([["later"]], counts, tokenizer, limit=7) == ["later", "Later", "LATER"]
    assert choose(file, counts, tokenizer, limit=0) == []


def test_only_useful_words_are_chosen(tokenizer: Tokenizer) -> None:
    known = next(word for word in tokenizer.list_words().values() if word.isalpha())
    odd = ["<unk>", "</s>", "[PAD]", ",", "...", "1990", "", "\uff52efund", "a\u2581b", "\u00bd", known]
    good = ["refund", "don't", "mp3", "u.s.", "Refund", "été", "refund"]
    assert choose([odd, good], {"refund": 1}, tokenizer) == list(dict.fromkeys(good))
    assert choose([odd, good], dict.fromkeys([*odd, *good], 1), tokenizer) == sorted(set(good))


def test_no_words_are_chosen_from_another_language(tokenizer: Tokenizer) -> None:
    assert choose([["кофе", "чай"]], {"tea": 3}, tokenizer) == []
    known = next(word for word in tokenizer.list_words().values() if word.isalpha())
    assert choose([["кофе", known]], {known: 3}, tokenizer) == ["кофе"]


def test_words_that_sentencepiece_refuses_are_skipped(tokenizer: Tokenizer) -> None:
    odd = ["re\0fund", "o" * 8000, "parcels"]
    chosen = choose_words([block("parcel", *odd)], {"parcel": 1}, tokenizer, limit=10)
    assert "parcels" in chosen
    assert not {"re\0fund", "o" * 8000} & {*chosen}
    assert extend(tokenizer, chosen)
