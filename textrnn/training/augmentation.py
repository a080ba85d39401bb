"""Per-epoch augmentation of batches: sampled segmentations, and tokens replaced by the unknown token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from textrnn.config import Config
from textrnn.data.batch import PackedBatch
from textrnn.data.windows import Windows
from textrnn.tokenization.sampling import SegmentSampler
from textrnn.tokenization.tokenizer import Tokenizer


class Augmenter:
    """Augments training batches by ``tokenizer.alpha`` and ``train.word_dropout``.

    Raises:
        ConfigError: the tokenizer has only one segmentation of each text, and ``tokenizer.alpha`` is set.
    """

    def __init__(self, config: Config, tokenizer: Tokenizer) -> None:
        self._seed, self._dropout = config.train.seed, config.train.word_dropout
        self._unknown, self._max_length = tokenizer.unknown_id, Windows.of(config.data).size
        alpha = config.tokenizer.alpha
        self._sampler = None if alpha is None else SegmentSampler(tokenizer, alpha=alpha, seed=self._seed)

    def augment(self, batch: PackedBatch, epoch: int, number: int) -> PackedBatch:
        """Return ``batch``, the ``number``-th of ``epoch``, augmented: always the same for these and the seed."""
        if self._sampler:
            batch = self._sampler.resample(batch, [epoch, number], max_length=self._max_length)
        if self._dropout:
            rng = np.random.default_rng([self._seed, epoch, number, 1])
            dropped = rng.random(len(batch.ids), np.float32) < self._dropout
            batch = replace(batch, ids=np.where(dropped, np.int32(self._unknown), batch.ids))
        return batch
