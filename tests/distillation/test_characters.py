"""Texts as characters."""

from __future__ import annotations

from textrnn.distillation.characters import Characters
from textrnn.models.ngram.features import SPACE


def test_texts_are_spelled_with_a_space_before_each_word() -> None:
    characters = Characters()
    batch = characters.encode(["ab  b", "", "ﬁ b"])  # a ligature, which NFKC divides
    spelling, space = characters.spelling, chr(SPACE)
    texts = [
        "".join(map(chr, spelling.spell(batch.ids[start:stop])))
        for start, stop in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)
    ]
    assert texts == [f"{space}ab{space}b", "", f"{space}fi{space}b"]
