"""What of a batch is read otherwise in each epoch: the pieces of a text, and pieces that are read as unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from textrnn.config import Config
from textrnn.data.batch import PackedBatch
from textrnn.tokenization.sampling import SegmentSampler
from textrnn.tokenization.tokenizer import Tokenizer


class Augmenter:
    """Varies batches as ``tokenizer.alpha`` and ``train.word_dropout`` say.

    Raises:
        ConfigError: a tokenizer that has one segmentation of a text only.
    """

    def __init__(self, config: Config, tokenizer: Tokenizer) -> None:
        self._seed, self._share, self._max_length = config.train.seed, config.train.word_dropout, config.data.max_length
        self._unknown = tokenizer.unknown_id
        alpha = config.tokenizer.alpha
        self._sampler = None if alpha is None else SegmentSampler(tokenizer, alpha=alpha, seed=self._seed)

    def augment(self, batch: PackedBatch, epoch: int, number: int) -> PackedBatch:
        """Return what is read of ``batch``, the ``number``-th of ``epoch``: always the same for the same two."""
        if self._sampler:
            batch = self._sampler.resample(batch, [epoch, number], max_length=self._max_length)
        if self._share:
            rng = np.random.default_rng([self._seed, epoch, number, 1])
            dropped = rng.random(len(batch.ids), np.float32) < self._share
            batch = replace(batch, ids=np.where(dropped, np.int32(self._unknown), batch.ids))
        return batch
