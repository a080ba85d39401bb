"""Model compression: quantize weights and prune n-grams, and measure the effect on labelled text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import pack_ids
from textrnn.data.reading.examples import Example
from textrnn.errors import ModelError
from textrnn.evaluation.labelled_text import evaluate_labels
from textrnn.evaluation.multi_label import MultiLabelEvaluation
from textrnn.evaluation.single_label import Evaluation
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.table import NgramTable
from textrnn.serialization.model_file import SavedModel, format_model, parse_model
from textrnn.serialization.quantization import Storage

SHARES = (1.0, 0.5, 0.25, 0.1)
"""Shares of the n-grams to try."""

MAX_LOSS_RISE = 0.01
"""Limit of the increase of the loss, in nats per text, if a milder compression exists: on a few hundred texts, accuracy
is too noisy to reject a compression that is too strong; the loss is more precise."""

_TOLERANCE = 1e-9  # of a difference of accuracies, in points


@dataclass(frozen=True)
class Measured:
    """A model's ``size`` in bytes, its number of ``ngrams``, and its evaluation on the labelled text."""

    size: int
    ngrams: int
    evaluation: Evaluation | MultiLabelEvaluation

    @property
    def quality(self) -> float:
        """Accuracy in [0, 1], or micro-F1 of a multi-label model."""
        result = self.evaluation
        return result.micro_f1 if isinstance(result, MultiLabelEvaluation) else result.accuracy

    @property
    def baseline(self) -> tuple[str, float]:
        """The most frequent label, and the quality of predicting it for every text."""
        most = max(self.evaluation.classes, key=lambda score: score.support)
        total = sum(score.support for score in self.evaluation.classes)
        return most.label, 2 * most.support / (self.evaluation.texts + total)

    @property
    def beats_baseline(self) -> bool:
        """True if the quality exceeds that of the most frequent label by more than two standard errors."""
        _, baseline = self.baseline
        return self.quality > baseline + 2 * math.sqrt(baseline * (1 - baseline) / self.evaluation.texts)


@dataclass(frozen=True)
class Step:
    """A compressed model, as the ``content`` of its file, with ``share`` of the n-grams.

    ``same_labels`` is the share of texts with the same predicted labels as before. ``mean_change`` and
    ``largest_change`` are absolute changes of probabilities over all texts and labels.
    """

    content: bytes
    share: float
    before: Measured
    after: Measured
    same_labels: float
    mean_change: float
    largest_change: float

    @property
    def drop(self) -> float:
        """Loss of accuracy (or micro-F1) in points; negative if it rises."""
        return 100 * (self.before.quality - self.after.quality)

    @property
    def loss_rise(self) -> float | None:
        """Increase of the loss in nats per text; None if the model knows no label of the texts."""
        before, after = self.before.evaluation.loss, self.after.evaluation.loss
        return None if before is None or after is None else after - before


def compress_model(
    path: Path,
    model: SavedModel,
    examples: Sequence[Example],
    *,
    storage: Storage,
    shares: Sequence[float],
    max_drop: float,
    report_before: Callable[[Measured], None] = lambda _: None,
    report: Callable[[Step], None],
) -> Step:
    """Return the smallest compression of the ``model`` at ``path`` that is good enough on ``examples``.

    Weights are stored as ``storage``; the ``shares`` of the n-grams are tried from the smallest to the largest. Good
    enough means: at most ``max_drop`` points of accuracy (multi-label: micro-F1) are lost, and, except for the largest
    share, the loss rises by at most ``MAX_LOSS_RISE``. ``report_before`` receives the quality of the model itself,
    ``report`` each compression that was tried.

    Raises:
        ModelError: no compression is good enough, or none is smaller than the model.
    """
    compressor = Compressor(path, model, examples)
    report_before(compressor.before)
    last = None
    shares = sorted(shares if model.ngrams is not None else [1.0])
    for share in shares:
        step = compressor.compress(storage, share)
        if step.after.size >= step.before.size:
            break
        report(step)
        loss_is_low = share == shares[-1] or (step.loss_rise or 0.0) <= MAX_LOSS_RISE
        if loss_is_low and step.drop <= max_drop + _TOLERANCE:
            return step
        last = step
    if last is None:
        raise ModelError(path, "would not become smaller; try another --storage, or fewer n-grams (--ngrams)")
    raise ModelError(path, _explain(last, storage, max_drop))


class Compressor:
    """Compresses the ``model`` of the file at ``path`` and measures the result on ``examples``."""

    def __init__(self, path: Path, model: SavedModel, examples: Sequence[Example]) -> None:
        self._model, self._engine, self._examples = model, Engine(model), examples
        self._texts = [example.text for example in examples]
        self._logits = self._engine.predict_logits(self._texts)
        self.before = self._measure(path.stat().st_size, model, self._engine, logits=self._logits)

    def compress(self, storage: Storage, share: float) -> Step:
        """Return the model with weights in ``storage`` and ``share`` of the n-grams, measured as read from its file."""
        # thresholds hold for the probabilities of this model
        smaller = replace(self._model, confidence_thresholds=None, confidence_max_error=None)
        if smaller.ngrams is not None and share < 1:
            smaller = replace(smaller, ngrams=self._prune(smaller.ngrams, share), cascade=None)  # it holds no more
        content = format_model(smaller, storage=storage)
        engine = Engine(parse_model(content, name="the smaller model"))
        logits = engine.predict_logits(self._texts)
        old, new = self._engine.to_log_probabilities(self._logits), engine.to_log_probabilities(logits)
        change = np.abs(np.exp(old) - np.exp(new))
        return Step(
            content,
            share,
            self.before,
            self._measure(len(content), smaller, engine, logits=logits),
            same_labels=float((_predict_labels(self._engine, old) == _predict_labels(engine, new)).all(axis=1).mean()),
            mean_change=float(change.mean(dtype=np.float64)),
            largest_change=float(change.max()),
        )

    def _measure(self, size: int, model: SavedModel, engine: Engine, *, logits: Array) -> Measured:
        evaluation = evaluate_labels(engine, self._examples, logits=logits)
        return Measured(size, 0 if model.ngrams is None else len(model.ngrams.keys), evaluation)

    def _prune(self, table: NgramTable, share: float) -> NgramTable:
        """Return ``table`` with ``share`` of its n-grams, rescaled to keep the logits of the texts.

        With fewer n-grams the norm is smaller and the logits are larger. A factor fitted by least squares to the
        logits of the full table corrects that; it does not use the labels.
        """
        packed = pack_ids(*self._engine.encode(self._texts))
        spelling, pruned = Spelling.of(self._model.tokenizer), prune(table, share)
        target, actual = (
            (part.forward(packed.ids, packed.offsets, spelling) - table.bias).astype(np.float64)
            for part in (table, pruned)
        )
        square = float(np.square(actual).sum())
        factor = float((target * actual).sum()) / square if square > 0 else 1.0
        return replace(pruned, weight=pruned.weight * np.float32(factor))


def prune(table: NgramTable, share: float) -> NgramTable:
    """Return ``table`` with ``share`` of its n-grams, rounded up: those with the largest |idf * weight| of a class.

    Among equals, the lower key is kept.
    """
    effect = np.abs(table.idf[:, None] * table.weight).max(axis=1)
    kept = np.sort(np.argsort(-effect, kind="stable")[: int(np.ceil(share * len(effect)))])
    return NgramTable(table.keys[kept], table.idf[kept], table.weight[kept], table.bias)


def _predict_labels(engine: Engine, log_probabilities: Array) -> npt.NDArray[Any]:
    """Return the predicted class (B, 1), or the assigned labels (B, C), of each text."""
    if engine.thresholds is None:
        best: npt.NDArray[Any] = log_probabilities.argmax(axis=1)
        return best[:, None]
    return engine.assign_labels(log_probabilities)


def _explain(step: Step, storage: Storage, max_drop: float) -> str:
    """Return why the last ``step`` was not good enough, and what to try."""
    if step.drop <= max_drop + _TOLERANCE and step.loss_rise is not None:  # milder steps were not smaller
        return (
            f"nothing written: the loss would rise by {step.loss_rise:.4f}, above the limit of {MAX_LOSS_RISE:g}; "
            f"--ngrams {step.share:g} accepts it"
        )
    name = "micro F1" if isinstance(step.after.evaluation, MultiLabelEvaluation) else "accuracy"
    milder = {"int8": "--storage bf16, ", "bf16": "--storage fp32, ", "float32": ""}[storage]
    more = "" if step.share == 1 else "more n-grams (--ngrams), "
    return (
        f"nothing written: {name} would fall by {step.drop:.2f} points, from {100 * step.before.quality:.2f} to "
        f"{100 * step.after.quality:.2f} %; --max-drop allows {max_drop:g}; try {milder}{more}or a higher --max-drop"
    )
