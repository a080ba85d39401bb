"""What is read of a batch: pieces as they are, drawn anew, or as unknown."""

from __future__ import annotations

import numpy as np

from samples import make_config
from textrnn.data.batch import PackedBatch
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.training.augmentation import Augmenter

BATCH = PackedBatch(np.arange(4, 54, dtype=np.int32).repeat(40), np.array([0, 1000, 2000]), np.array([0, 1]))


def test_as_it_is_without_a_setting(tokenizer: Tokenizer) -> None:
    assert Augmenter(make_config(), tokenizer).augment(BATCH, 1, 0) is BATCH


def test_a_share_is_read_as_unknown(tokenizer: Tokenizer) -> None:
    reading = Augmenter(make_config(train__word_dropout=0.2), tokenizer)
    found = [reading.augment(BATCH, epoch, number).ids for epoch, number in ((1, 0), (1, 1), (2, 0), (1, 0))]
    for ids in found:
        unknown = ids == tokenizer.unknown_id
        assert 0.15 < unknown.mean() < 0.25
        assert (ids[~unknown] == BATCH.ids[~unknown]).all()
    assert (found[0] == found[3]).all()
    assert not (found[0] == found[1]).all()
    assert not (found[0] == found[2]).all()
