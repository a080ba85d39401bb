"""Hashes of encoded texts."""

from __future__ import annotations

import numpy as np

from textrnn.data.batch import pack
from textrnn.data.encoded import Corpus
from textrnn.preparation.text_hashes import TextHasher


def test_hashes_depend_on_tokens_and_positions() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 6, 5000)
    offsets = np.append(0, np.cumsum(lengths))
    ids = rng.integers(0, 5, offsets[-1]).astype(np.uint16)
    corpus = Corpus(ids, offsets, np.zeros(5000, np.int32), np.zeros(1, np.int64))
    hashes = TextHasher(5, 6).hash_all(corpus)
    texts = [tuple(ids[start:stop].tolist()) for start, stop in zip(offsets[:-1], offsets[1:], strict=True)]
    of_text: dict[tuple[int, ...], int] = {}
    assert all(of_text.setdefault(text, value) == value for text, value in zip(texts, hashes.tolist(), strict=True))
    assert len(set(of_text.values())) == len(of_text)


def test_hashes_of_model_files_stay_as_they_are() -> None:
    hashes = TextHasher(9, 4).hash(pack([[1, 2, 3], [3, 2, 1], [0]]))
    assert hashes.tolist() == [13354092380825540021, 14053344430522864805, 11116436299753795919]
