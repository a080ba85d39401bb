"""Augmentation of batches by word dropout."""

from __future__ import annotations

import numpy as np

from samples import make_config
from textrnn.data.batch import PackedBatch
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.training.augmentation import Augmenter

BATCH = PackedBatch(np.arange(4, 54, dtype=np.int32).repeat(40), np.array([0, 1000, 2000]), np.array([0, 1]))


def test_a_batch_stays_the_same_by_default(tokenizer: Tokenizer) -> None:
    assert Augmenter(make_config(), tokenizer).augment(BATCH, 1, 0) is BATCH


def test_word_dropout_replaces_a_share_of_the_tokens(tokenizer: Tokenizer) -> None:
    augmenter = Augmenter(make_config(train__word_dropout=0.2), tokenizer)
    augmented = [augmenter.augment(BATCH, epoch, number).ids for epoch, number in ((1, 0), (1, 1), (2, 0), (1, 0))]
    for ids in augmented:
        unknown = ids == tokenizer.unknown_id
        assert 0.15 < unknown.mean() < 0.25
        assert (ids[~unknown] == BATCH.ids[~unknown]).all()
    assert (augmented[0] == augmented[3]).all()
    assert not (augmented[0] == augmented[1]).all()
    assert not (augmented[0] == augmented[2]).all()
