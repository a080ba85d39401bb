"""A loaded model: ``textrnn.load(path).predict(["a text"])``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import numpy.typing as npt

from textrnn.api.dataset_map import MapFunction
from textrnn.api.labelled_texts import PathLike, check_path, check_texts, clean, make_examples
from textrnn.files import atomic_write
from textrnn.inference import Precision, parse_precision
from textrnn.inference.engine import Engine, Prediction, replace_unknown
from textrnn.inference.explain import Explanation, explain
from textrnn.serialization.latest_run import find_latest
from textrnn.serialization.model_file import format_model
from textrnn.serialization.quantization import Storage

if TYPE_CHECKING:
    from textrnn.evaluation.labelled_text import AnyEvaluation


class Model:
    """A loaded model; :func:`textrnn.load` returns it.

    Threads may call its methods concurrently, and so may forked processes. It can be pickled and copied.

    Texts are ``str`` of any length; as in training, ``data.long_texts`` says what is read of long ones. A lone
    surrogate is read as a question mark.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def load(cls, path: PathLike | None = None, *, precision: Precision = "fp32") -> Model:
        """Load a model as :func:`textrnn.load` does."""
        precision = parse_precision(precision)
        return cls(Engine.load(find_latest("with its path") if path is None else Path(path), precision=precision))

    def __repr__(self) -> str:
        what = "of scores" if self.is_score else f"with {len(self.labels)} labels"
        return f"<textrnn.Model {what}>"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the columns of :meth:`predict_proba`; of a model of scores, the anchors."""
        return self._engine.labels

    @property
    def is_score(self) -> bool:
        """True if the model predicts scores (``data.target: score``) instead of labels."""
        return self._engine.anchors is not None

    @property
    def words(self) -> tuple[str, ...]:
        """The words that are pieces of the tokenizer, in the order of their ids; other words are read in parts."""
        return tuple(dict.fromkeys(self._engine.tokenizer.list_words().values()))

    @property
    def config(self) -> dict[str, Any]:
        """The settings that the model was trained with, by section and key, as in a YAML config."""
        return self._engine.model.config.model_dump()

    @property
    def metadata(self) -> dict[str, Any]:
        """The facts in the model file besides weights, labels and config, as plain values.

        ``temperature`` divides the logits; ``ngram_share`` is the weight of the n-gram model; ``thresholds`` belong to
        a multi-label model, and ``confidence_thresholds`` to a single-label one that has them (None: neither).
        """
        model = self._engine.model
        return {
            "temperature": model.temperature,
            "ngram_share": model.ngram_share,
            "thresholds": None if model.thresholds is None else [*model.thresholds],
            "confidence_thresholds": dict(self._engine.confidence_thresholds) or None,
        }

    def save(self, path: PathLike, *, storage: Storage = "float32") -> None:
        """Write the model file ``path``, which :func:`textrnn.load` and all commands read.

        Matrices are written as ``storage``: float32, bf16 or int8. The same model gives the same bytes. The file
        appears when it is complete.

        Raises:
            OSError: it cannot be written.
            ValueError: ``storage`` is another.
        """
        if storage not in get_args(Storage):
            raise ValueError(f"storage should be one of {', '.join(get_args(Storage))}, not {storage!r}")
        with atomic_write(Path(path)) as file:
            file.write(format_model(self._engine.model, storage=storage))

    def evaluate(
        self,
        texts: PathLike | Iterable[str],
        labels: Iterable[Any] | None = None,
        *,
        threshold: float | None = None,
    ) -> AnyEvaluation:
        """Return the metrics of the model on labelled text, those that ``textrnn evaluate --json`` prints.

        Args:
            texts: B texts, or the path of a labelled file, which is read as the training set was.
            labels: B labels or scores, as :func:`train` takes them; None if ``texts`` is a path.
            threshold: of a multi-label model: replaces the threshold of each label.

        Raises:
            TypeError: texts or labels have a wrong type.
            ValueError: there are more texts than labels or fewer, or none; a threshold out of range, or for a
                single-label model.
            DataError: the file is unusable.
        """
        from textrnn.data.reading.examples import read_examples  # noqa: PLC0415 - prediction does not need it
        from textrnn.evaluation.labelled_text import evaluate_examples  # noqa: PLC0415

        self._check_threshold(threshold)
        if isinstance(texts, str | os.PathLike):
            examples = read_examples(check_path(texts, labels), self._engine.data_config)
        else:
            examples = make_examples(texts, labels, is_score=self.is_score)
        return evaluate_examples(self._engine, examples, threshold=threshold)

    def predict(
        self,
        texts: Iterable[str],
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        unknown_label: str | None = None,
    ) -> list[list[Prediction]]:
        """Return the labels of each text with their probabilities, likeliest first.

        Unlike ``textrnn predict``, this returns a label of the model whatever its confidence, unless ``unknown_label``
        is given.

        Args:
            texts: any iterable of ``str``.
            top_k: the number of labels for each text (None: 1). A multi-label model returns the ``top_k`` likeliest
                labels whatever their probability; with ``threshold``, at most that many.
            threshold: of a multi-label model: return labels with at least this probability, in [0, 1] (None: the
                threshold of each label that was tuned in training).
            unknown_label: apply the confidence thresholds that ``textrnn evaluate --save-thresholds`` wrote into the
                model: this replaces a likeliest label below its threshold, as the option ``--unknown-label`` does.

        Raises:
            TypeError: ``texts`` is a single ``str``, a table or a mapping, or an element is not a ``str``.
            ValueError: ``top_k`` or ``threshold`` is out of range, the model is not multi-label, or ``unknown_label``
                is given and the model has no confidence thresholds, or the model predicts scores.
        """
        if self.is_score:
            raise ValueError("this model predicts scores; use predict_scores")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k should be 1 or more, not {top_k}")
        self._check_threshold(threshold)
        minimum = self._engine.confidence_thresholds
        if unknown_label is not None and not minimum:
            raise ValueError(f"unknown_label {unknown_label!r}: this model has no confidence thresholds; leave it out")
        found = self._engine.predict(check_texts(texts), top_k=top_k, threshold=threshold)
        if unknown_label is None:
            return found
        return [replace_unknown(predictions, minimum, unknown_label) for predictions in found]

    def predict_scores(self, texts: Iterable[str]) -> npt.NDArray[np.float64]:
        """Return the score (B,) float64 of each text, by a model of scores.

        Raises:
            TypeError: as :meth:`predict` does.
            ValueError: the model predicts labels.
        """
        if not self.is_score:
            raise ValueError("this model predicts labels; use predict or predict_proba")
        return self._engine.predict_scores(check_texts(texts))

    def predict_proba(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        """Return the calibrated probabilities (B, C) float32 of the C :attr:`labels` for B texts.

        Rows add up to 1, except for a multi-label model, where labels are independent. Those of a model of scores are
        distributions over its anchors, whose mean is the score. Raises TypeError as :meth:`predict` does.
        """
        probabilities: npt.NDArray[np.float32] = np.exp(self._engine.predict_log_probabilities(check_texts(texts)))
        return probabilities

    def map_fn(self, column: str = "text") -> MapFunction:
        """Return a function for ``datasets.Dataset.map(..., batched=True)``; ``column`` has the texts.

        It adds the columns ``label`` and ``probability``, which hold lists if the model is multi-label, or the column
        ``score``. It can be pickled, so ``num_proc`` works.
        """
        return MapFunction(self, column)

    def embed(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        """Return a vector for each text (B, W) float32: the pooled state of the network, before the output layer.

        Texts that are alike for the task have similar vectors. Raises TypeError as :meth:`predict` does.
        """
        return self._engine.embed(check_texts(texts))

    def explain(self, text: str, label: str | Sequence[str] | None = None) -> Explanation:
        """Return the effect of each word of ``text`` on the probability of ``label`` (None: the predicted labels).

        An effect is the probability, or the score, with the word minus that without it. See
        :mod:`textrnn.inference.explain`.

        Raises:
            TypeError: ``text`` is not a ``str``.
            ValueError: the model has no such label, or a label is given to a model of scores.
        """
        if not isinstance(text, str):
            raise TypeError(f"text should be one str, not {type(text).__name__}")
        return explain(self._engine, clean(text), label)

    def _check_threshold(self, threshold: float | None) -> None:
        if threshold is None:
            return
        if self._engine.thresholds is None:
            raise ValueError(f"threshold {threshold}: this model is not multi-label; leave the threshold out")
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold should be from 0 to 1, not {threshold}")
