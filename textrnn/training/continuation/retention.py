"""A report of what an initial model knew: its figures on the validation sets, and those of the new model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.config import Config
from textrnn.data.batch import PackedBatch
from textrnn.data.encoded import Corpus
from textrnn.errors import pluralize
from textrnn.evaluation.metrics import LabelCounts
from textrnn.inference.engine import Engine
from textrnn.preparation.dataset import Dataset
from textrnn.serialization.model_file import load_model
from textrnn.training.loss import make_targets


def describe_retention(config: Config, dataset: Dataset, folder: Path) -> Iterator[str]:
    """Yield lines on the initial model and the model in ``folder``, on the new and the old validation set.

    Without an initial model that has labels, and for a final model, there are none.
    """
    initial = dataset.initial
    if initial is None or not initial.labels or config.train.refit is not None:
        return
    engines = Engine(initial.model), Engine(load_model(folder))
    if dataset.new_valid is not None and len(dataset.new_valid):
        yield _compare(engines, dataset.new_valid, dataset, name="new validation set")
    if initial.model.confidence_thresholds is not None:
        yield (
            f"{initial.path} has confidence thresholds, which the new model lacks; find its own with: "
            f"textrnn evaluate -m {folder} --max-error P --save-thresholds FILE"
        )
    record, old = initial.model.validation, dataset.old_valid
    if record is None or old is None or not len(old):
        reason = f"{initial.path} has no record of one" if record is None else "its texts were not found"
        yield f"old validation set: {reason}, so forgetting is not measured"
        return
    part = "" if len(old) >= record.texts else f"{len(old):,} of its {record.texts:,} texts: "
    yield _compare(engines, old, dataset, name="old validation set", part=part)
    if config.data.replay is None and set(initial.labels) - _list_trained(dataset):
        yield "labels without new text are soon forgotten; train on old text again with --replay FILE"


def _list_trained(dataset: Dataset) -> set[str]:
    """Return the labels that training texts have; of scores all."""
    if dataset.anchors is not None:
        return set(dataset.labels)
    return {label for label, count in zip(dataset.labels, dataset.count_labels(), strict=True) if count}


def _compare(engines: tuple[Engine, Engine], texts: Corpus, dataset: Dataset, *, name: str, part: str = "") -> str:
    before, after = (measure(engine, texts, dataset) for engine in engines)
    if dataset.anchors is not None:
        figures = f"MAE {before:.4f} before, {after:.4f} after"
    else:
        metric = "accuracy" if dataset.label_sets is None else "micro F1"
        figures = f"{metric} {100 * before:.2f} % before, {100 * after:.2f} % after"
    counted = "" if part else f" ({pluralize(len(texts), 'text', 'texts')})"
    return f"{name}{counted}: {part}{figures}"


def measure(engine: Engine, texts: Corpus, dataset: Dataset) -> float:
    """Return the accuracy of ``engine`` on ``texts`` of ``dataset``; multi-label: micro F1; scores: mean error."""
    columns = np.array([dataset.labels.index(label) for label in engine.labels])
    parts = [_count(engine, batch, dataset, columns=columns) for batch in texts.blocks()]
    if dataset.label_sets is None:
        return float(np.concatenate(parts).mean())
    true, predicted = (np.concatenate(halves) for halves in zip(*parts, strict=True))
    return LabelCounts.of_sets(true, predicted).summarize()["micro_f1"]


def _count(
    engine: Engine, batch: PackedBatch, dataset: Dataset, *, columns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return whether each text is right, or its error (B,); multi-label: its true and predicted labels (2, B, L)."""
    logits = engine.to_log_probabilities(engine.forward_ids(batch.ids, np.diff(batch.offsets)))
    if dataset.label_sets is not None:
        true = dataset.label_sets.to_multi_hot(batch.classes)
        predicted = np.zeros_like(true)
        predicted[:, columns] = engine.assign_labels(logits)
        return np.stack([true, predicted])
    if dataset.anchors is None:
        right: npt.NDArray[np.float64] = (columns[logits.argmax(axis=1)] == batch.classes).astype(np.float64)
        return right
    targets = make_targets(batch.classes, None, len(dataset.anchors), soft=batch.soft_labels)
    scores = dataset.anchors[targets] if targets.ndim == 1 else targets @ dataset.anchors
    errors: npt.NDArray[np.float64] = np.abs(engine.to_scores(logits) - scores)
    return errors
