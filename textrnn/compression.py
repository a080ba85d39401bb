"""A smaller model: weights in fewer bits, without the n-grams that say least; and what that changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import pack_ids
from textrnn.data.formats import Example
from textrnn.errors import ModelError
from textrnn.evaluation.labelled_file import score_examples
from textrnn.evaluation.multi_label import MultiLabelEvaluation
from textrnn.evaluation.single_label import Evaluation
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.table import NgramTable
from textrnn.serialization.model_file import SavedModel, format_model, parse_model
from textrnn.serialization.quantization import Storage

SHARES = (1.0, 0.5, 0.25, 0.1)
"""Of the n-grams, those that are kept, the most first."""

MAX_RISE = 0.01
"""How much higher the loss may be, in nats a text, while there are milder steps: some hundred texts tell of an accuracy
to a point or two, which a step that is too strong may well pass by chance, and of the loss much better."""

_ROUNDING = 1e-9  # of a difference of accuracies, in points


@dataclass(frozen=True)
class Measured:
    """A model's ``size`` in bytes, the number of its ``ngrams``, and what it is worth on the labelled text."""

    size: int
    ngrams: int
    evaluation: Evaluation | MultiLabelEvaluation

    @property
    def quality(self) -> float:
        """What a smaller model may not lose, in [0, 1]: accuracy, or micro-F1 of several labels a text."""
        found = self.evaluation
        return found.micro_f1 if isinstance(found, MultiLabelEvaluation) else found.accuracy


@dataclass(frozen=True)
class Step:
    """One smaller model, as the bytes of its file, and how it differs.

    ``share`` of the n-grams are kept. ``same_labels`` is the share of texts with the same label (or labels) as before;
    ``mean_change`` and ``largest_change`` are of a probability, over all texts and labels.
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
        """How many points of accuracy (or micro-F1) it loses; below 0: it gains."""
        return 100 * (self.before.quality - self.after.quality)

    @property
    def loss_rise(self) -> float | None:
        """How much higher the loss is, in nats a text; None where the model knows no label of the texts."""
        before, after = self.before.evaluation.loss, self.after.evaluation.loss
        return None if before is None or after is None else after - before


class Optimiser:
    """Makes the ``model`` of the file at ``path`` smaller, and measures it on ``examples``."""

    def __init__(self, path: Path, model: SavedModel, examples: Sequence[Example]) -> None:
        self._path, self._model, self._engine = path, model, Engine(model)
        self._examples, self._texts = examples, [example.text for example in examples]
        self._logits = self._engine.predict_logits(self._texts)
        self.before = self._measure(path.stat().st_size, model, self._engine, logits=self._logits)

    def search(
        self, storage: Storage, shares: Sequence[float], *, max_drop: float, tell: Callable[[Step], None]
    ) -> Step:
        """Return the smallest model that loses ``max_drop`` points of accuracy at most (micro-F1: of several labels).

        The steps are ``storage`` with each of ``shares`` of the n-grams, from the strongest on; ``tell`` is called
        with each that was tried. All but the mildest raise the loss by ``MAX_RISE`` at most as well.

        Raises:
            ModelError: there is none, or none is smaller than the model is.
        """
        mildest = None
        shares = sorted(shares if self._model.ngrams is not None else [1.0])
        for share in shares:
            step = self.take(storage, share)
            if step.after.size >= self.before.size:
                break
            tell(step)
            sound = share == shares[-1] or (step.loss_rise or 0.0) <= MAX_RISE
            if sound and step.drop <= max_drop + _ROUNDING:
                return step
            mildest = step
        if mildest is None:
            raise ModelError(self._path, "is not made smaller so; try another --storage, or fewer n-grams (--ngrams)")
        raise ModelError(self._path, _explain(mildest, storage, max_drop))

    def take(self, storage: Storage, share: float) -> Step:
        """Return the model with ``storage`` and ``share`` of the n-grams, measured as it is read from its bytes."""
        smaller = self._model
        if smaller.ngrams is not None and share < 1:
            smaller = replace(smaller, ngrams=self._prune(smaller.ngrams, share))
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
            same_labels=float((_find_labels(self._engine, old) == _find_labels(engine, new)).all(axis=1).mean()),
            mean_change=float(change.mean(dtype=np.float64)),
            largest_change=float(change.max()),
        )

    def _measure(self, size: int, model: SavedModel, engine: Engine, *, logits: Array) -> Measured:
        found = score_examples(engine, self._examples, logits=logits)
        return Measured(size, 0 if model.ngrams is None else len(model.ngrams.keys), found)

    def _prune(self, table: NgramTable, share: float) -> NgramTable:
        """Return ``table`` with ``share`` of its n-grams, scaled so that its scores of the texts are the nearest.

        Fewer n-grams make the norm that they are divided by smaller, and all scores larger. What the weights are
        multiplied with for that is found by least squares over the texts, whose labels it does not look at.
        """
        tokenizer, max_length = self._model.tokenizer, self._model.config.data.max_length
        packed = pack_ids(*tokenizer.encode_packed(self._texts, max_length=max_length))
        spelling = Spelling.of(tokenizer)
        pruned = prune(table, share)
        wanted, found = (
            (each.forward(packed.ids, packed.offsets, spelling) - table.bias).astype(np.float64)
            for each in (table, pruned)
        )
        square = float(np.square(found).sum())
        factor = float((wanted * found).sum()) / square if square > 0 else 1.0
        return replace(pruned, weight=pruned.weight * np.float32(factor))


def prune(table: NgramTable, share: float) -> NgramTable:
    """Return ``table`` with ``share`` of its n-grams: those whose idf * weight is largest for some class.

    Of equals the lower key stays. The number is rounded up.
    """
    effect = np.abs(table.idf[:, None] * table.weight).max(axis=1)
    kept = np.sort(np.argsort(-effect, kind="stable")[: int(np.ceil(share * len(effect)))])
    return NgramTable(table.keys[kept], table.idf[kept], table.weight[kept], table.bias)


def _find_labels(engine: Engine, log_probabilities: Array) -> npt.NDArray[Any]:
    """Return what tells the labels of each text from those of another (B, n)."""
    if engine.thresholds is None:
        best: npt.NDArray[Any] = log_probabilities.argmax(axis=1)
        return best[:, None]
    return engine.assign_labels(log_probabilities)


def _explain(step: Step, storage: Storage, max_drop: float) -> str:
    """Return why not even ``step`` will do, and what might."""
    if step.drop <= max_drop + _ROUNDING and step.loss_rise is not None:  # milder steps make nothing smaller
        return (
            f"loss would rise by {step.loss_rise:.4f}, and {MAX_RISE:g} is allowed; nothing is written; "
            f"--ngrams {step.share:g} takes it as it is"
        )
    name = "micro F1" if isinstance(step.after.evaluation, MultiLabelEvaluation) else "accuracy"
    milder = {"int8": "--storage bf16, ", "bf16": "--storage float32, ", "float32": ""}[storage]
    more = "" if step.share == 1 else "more n-grams (--ngrams), "
    return (
        f"{name} would fall by {step.drop:.2f} points, from {100 * step.before.quality:.2f} to "
        f"{100 * step.after.quality:.2f} %, and --max-drop allows {max_drop:g}; nothing is written; "
        f"try {milder}{more}or a higher --max-drop"
    )
