"""Learning without forgetting: predictions of the initial model as a part of the training targets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import PackedBatch, make_offsets
from textrnn.data.encoded import Corpus
from textrnn.data.soft_labels import SoftLabelTable
from textrnn.inference.engine import Engine
from textrnn.preparation.dataset import Dataset
from textrnn.preparation.initial_model import InitialModel
from textrnn.training.loss import make_targets

_LEAST = 1e-3  # smaller shares are left out: with many classes most are

Shares = npt.NDArray[np.float32]


def distill_targets(dataset: Dataset, *, share: float) -> Corpus:
    """Return the training texts with the predictions of the initial model in their targets, by ``share``.

    This is the distillation of Li and Hoiem 2016 ("Learning without Forgetting", arXiv 1606.09282) in the targets
    instead of the loss, at the temperature of the calibrated model. A text of a class that the initial model lacks
    keeps its target. In multi-label data the labels that it has are mixed.
    """
    if not share or dataset.initial is None:
        return dataset.train
    teacher, texts = _Teacher(dataset, dataset.initial, share), dataset.train
    parts = [_to_triples(teacher.mix(batch), sums_to_1=dataset.label_sets is None) for batch in texts.blocks()]
    sizes, numbers, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
    table = SoftLabelTable(
        list(dataset.labels),
        np.arange(len(texts)) if texts.rows is None else texts.rows,
        make_offsets(sizes),
        numbers,
        shares,
        class_of=np.arange(len(dataset.labels)),
        sums_to_1=dataset.label_sets is None,
    )
    return texts.attach(table)


class _Teacher:
    """The initial model, with its labels as columns of those of the data set."""

    def __init__(self, dataset: Dataset, initial: InitialModel, share: float) -> None:
        self._sets, self._C, self._share = dataset.label_sets, len(dataset.labels), share
        self._engine = Engine(initial.model)
        self._columns = np.array([dataset.labels.index(label) for label in initial.labels])

    def mix(self, batch: PackedBatch) -> Shares:
        """Return the targets (B, C) of the texts of ``batch``, which all have a known label."""
        targets = make_targets(batch.classes, self._sets, self._C, soft=batch.soft_labels)
        if targets.ndim == 1:
            targets = np.eye(self._C, dtype=np.float32)[targets]
        lengths = np.diff(batch.offsets)
        logits = self._engine.forward_ids(batch.ids, lengths)
        predicted = np.exp(self._engine.to_log_probabilities(logits))
        rows = np.arange(len(batch))
        if self._sets is None:
            rows = np.flatnonzero(np.isin(batch.classes, self._columns))
            targets[rows] *= 1 - self._share
        else:
            targets[:, self._columns] *= 1 - self._share
        targets[np.ix_(rows, self._columns)] += np.float32(self._share) * predicted[rows]
        return targets


def _to_triples(targets: Shares, *, sums_to_1: bool) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Shares]:
    """Return how many classes of each row of ``targets`` (B, C) have a share, these classes, and their shares."""
    kept = np.where(targets >= _LEAST, targets, 0)
    if sums_to_1:
        kept /= kept.sum(axis=1, keepdims=True)
    rows, classes = np.nonzero(kept)
    return np.bincount(rows, minlength=len(kept)), classes.astype(np.int32), kept[rows, classes]
