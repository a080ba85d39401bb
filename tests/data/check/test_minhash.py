"""Which texts count as equal, and which as much alike."""

from __future__ import annotations

import random

import numpy as np
import pytest

from textrnn.data.check.minhash import (
    BAND_ROWS,
    BANDS,
    find_first,
    find_pairs,
    hash_texts,
    measure_likeness,
    normalize,
    sign,
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
def test_equal_but_for_case_blanks_and_punctuation(one: str, other: str) -> None:
    first, second = normalize([one, other])
    assert first == second
    assert first


@pytest.mark.parametrize(
    ("one", "other"),
    [("?!", "..."), ("great 😀", "great 😡"), ("कि", "कु"), ("call 1", "call 2"), ("", "a"), ("c++", "c")],
)
def test_not_equal(one: str, other: str) -> None:
    first, second = normalize([one, other])
    assert first != second


def test_rows_stay_rows() -> None:
    assert normalize(["", "a\u2028b", "\u0085", "...", "x"]) == ["", "ab", "", "...", "x"]


def test_each_row_finds_the_first_like_it() -> None:
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
    signatures = sign(texts)
    assert signatures.shape == (800, BANDS * BAND_ROWS)
    agreeing = (signatures[::2] == signatures[1::2]).mean(axis=1)
    expected = np.array([measure_likeness(one, two) for one, two in zip(texts[::2], texts[1::2], strict=True)])
    assert abs((agreeing - expected).mean()) < 0.02
    assert np.abs(agreeing - expected).max() < 0.5


def test_a_signature_does_not_depend_on_the_texts_beside() -> None:
    texts = ["abcdef", "", "ab", "가나다라", "abc"]
    together = sign(texts)
    assert (together == np.concatenate([sign([text]) for text in texts])).all()
    assert (together[1:3] == np.uint32(2**32 - 1)).all()  # too short for a trigram
    assert len(sign([])) == 0


def test_likeness_is_that_of_trigrams() -> None:
    assert measure_likeness("abcd", "abcd") == 1
    assert measure_likeness("abcd", "abce") == 1 / 3  # abc of abc, bcd, bce
    assert measure_likeness("ab", "ab") == 0


def test_pairs_hold_nearly_all_that_are_much_alike_and_few_others() -> None:
    rng = random.Random(1)
    texts = ["".join(rng.choices("abcdefghijklmnop", k=80)) for _ in range(2000)]
    texts += [text[:70] + "".join(rng.choices("abcdefghijklmnop", k=3)) + text[73:] for text in texts[:500]]
    pairs = find_pairs(sign(texts))
    found = {(row, first) for row, first in pairs.tolist() if measure_likeness(texts[row], texts[first]) >= 0.8}
    assert len(found) > 450
    assert all(row == first + 2000 for row, first in found)
    assert len(pairs) < 600


def test_texts_too_short_for_trigrams_are_no_pairs() -> None:
    assert find_pairs(sign(["ab", "cd", "ab"])).tolist() == []
