"""The n-gram branch of a run, which is fitted before the network is trained."""

from __future__ import annotations

import time

from textrnn.config import Config
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.fitting import fit_ngrams
from textrnn.models.ngram.table import NgramTable
from textrnn.preparation.dataset import Dataset
from textrnn.reporter import Reporter
from textrnn.training.loss import weigh_classes


def fit_ngram_model(config: Config, dataset: Dataset, reporter: Reporter) -> NgramTable | None:
    """Fit the n-gram branch on the training text, or return None: with a share of 0, or where nothing can be learned.

    It counts texts by ``train.class_weights`` as the network does; smoothed labels and focus are the network's alone.
    """
    if config.ngrams.share == 0:
        return None
    start = time.perf_counter()
    sets, labels, train = dataset.sets, dataset.labels, dataset.train
    texts = None if sets is None else len(train)
    weights, others = weigh_classes(config.train, labels, counts=dataset.count_labels(), texts=texts)
    table = fit_ngrams(
        train,
        Spelling.of(dataset.tokenizer),
        classes=len(labels),
        targets=train.classes,
        find_labels=None if sets is None else lambda classes: sets.to_multi_hot(classes)[:, : len(labels)],
        weights=None if weights is None else weights.numpy() if others is None else (weights.numpy(), others.numpy()),
        penalty=config.ngrams.penalty,
        seed=config.train.seed,
    )
    if table is not None:
        seconds = time.perf_counter() - start
        reporter.note(f"n-grams: {len(table.keys):,} of words and characters, fitted in {seconds:.1f} s")
    return table
