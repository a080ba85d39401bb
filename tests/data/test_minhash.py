"""Equality of normalized texts, and similarity by MinHash."""

from __future__ import annotations

import random

import numpy as np
import pytest

from textrnn.data.minhash import (
    BAND_ROWS,
    BANDS,
    find_first,
    find_pairs,
    hash_texts,
    jaccard_similarity,
    minhash,
    normalize,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello, World!", "hello world"),
        ("isn't it", "is n't  it ?"),
        ("ＡＢＣ 한글", "abc한글"),
        ("Straße", "STRASSE"),
        ("zero\u200bwidth\ttab", "zerowidthtab"),
        ("snake_case", "snake case"),
        ("?!  ...", "?! ..."),
    ],
)
def test_texts_equal_except_for_case_spaces_and_punctuation(one: str, other: str) -> None:
    first, second = normalize([one, other])
    assert first == second
    assert first


@pytest.mark.parametrize(
    ("one", "other"),
    [("?!", "..."), ("great 😀", "great 😡"), ("कि", "कु"), ("call 1", "call 2"), ("", "a"), ("c++", "c")],
)
def test_different_texts(one: str, other: str) -> None:
    first, second = normalize([one, other])
    assert first != second


def test_normalizing_keeps_the_number_of_texts() -> None:
    assert normalize(["", "a\u2028b", "\u0085", "...", "x"]) == ["", "ab", "", "...", "x"]


def test_find_first_gives_the_first_equal_row() -> None:
    keys = hash_texts([b"b", b"a", b"b", b"c", b"a", b"b"])
    assert find_first(keys).tolist() == [0, 1, 0, 3, 1, 0]
    assert find_first(keys[:0]).tolist() == []


def test_signatures_agree_as_often_as_trigrams_do() -> None:
    rng = random.Random(0)
    texts = []
    for _ in range(400):
        text = "".join(rng.choices("abcdefghij", k=60))
        at = rng.randrange(20, 60)
        texts += [text, text[:at] + "".join(rng.choices("abcdefghij", k=60 - at))]
    signatures = minhash(texts)
    assert signatures.shape == (800, BANDS * BAND_ROWS)
    agreeing = (signatures[::2] == signatures[1::2]).mean(axis=1)
    expected = np.array([jaccard_similarity(one, two) for one, two in zip(texts[::2], texts[1::2], strict=True)])
    assert abs((agreeing - expected).mean()) < 0.02
    assert np.abs(agreeing - expected).max() < 0.5


def test_a_signature_depends_on_its_text_alone() -> None:
    texts = ["abcdef", "", "ab", "가나다라", "abc"]
    together = minhash(texts)
    assert (together == np.concatenate([minhash([text]) for text in texts])).all()
    assert (together[1:3] == np.uint32(2**32 - 1)).all()  # too short for a trigram
    assert len(minhash([])) == 0


def test_jaccard_similarity_of_trigrams() -> None:
    assert jaccard_similarity("abcd", "abcd") == 1
    assert jaccard_similarity("abcd", "abce") == 1 / 3  # abc of abc, bcd, bce
    assert jaccard_similarity("ab", "ab") == 0


def test_find_pairs_finds_nearly_all_similar_texts_and_few_others() -> None:
    rng = random.Random(1)
    texts = ["".join(rng.choices("abcdefghijklmnop", k=80)) for _ in range(2000)]
    texts += [text[:70] + "".join(rng.choices("abcdefghijklmnop", k=3)) + text[73:] for text in texts[:500]]
    pairs = find_pairs(minhash(texts))
    found = {(row, first) for row, first in pairs.tolist() if jaccard_similarity(texts[row], texts[first]) >= 0.8}
    assert len(found) > 450
    assert all(row == first + 2000 for row, first in found)
    assert len(pairs) < 600


def test_texts_too_short_for_trigrams_form_no_pairs() -> None:
    assert find_pairs(minhash(["ab", "cd", "ab"])).tolist() == []
