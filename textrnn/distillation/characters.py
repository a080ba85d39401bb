"""Texts as characters, for an n-gram model that needs no tokenizer."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from textrnn.data.batch import PackedBatch, make_offsets
from textrnn.models.ngram.features import SPACE, Spelling


class Characters:
    """A vocabulary of single characters, which grows with the texts that are encoded."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def encode(self, texts: Sequence[str]) -> PackedBatch:
        """Return the characters of ``texts`` in NFKC, with a space before each word; all texts have class 0."""
        space, ids = chr(SPACE), self._ids
        spelled = ["".join(space + word for word in unicodedata.normalize("NFKC", text).split()) for text in texts]
        found = np.array([ids.setdefault(character, len(ids)) for text in spelled for character in text], np.int32)
        return PackedBatch(
            found, make_offsets(np.array([*map(len, spelled)], np.int64)), np.zeros(len(texts), np.int64)
        )

    @property
    def spelling(self) -> Spelling:
        """The spelling of all characters so far."""
        codes = np.array([ord(character) for character in self._ids], np.uint32)
        return Spelling(codes, np.arange(len(codes) + 1, dtype=np.int64))
