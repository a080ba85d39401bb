"""fastText's Python module with models of textrnn: ``from textrnn import fasttext``.

Functions, methods, arguments and the shapes of results are those of fastText 0.9 for supervised models. Options that
have no counterpart are accepted, with one warning. :func:`install` lets other packages import it as fasttext.
"""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from textrnn.api import Model, train
from textrnn.config import DataConfig
from textrnn.data.labels import split_labels
from textrnn.data.reading.examples import read_examples
from textrnn.data.reading.io import read_blocks
from textrnn.reporter import EpochRecord, Reporter
from textrnn.serialization.inspection import is_quantized

PREFIX = "__label__"

_DEFAULTS: dict[str, Any] = {
    **{"lr": 0.1, "dim": 100, "ws": 5, "epoch": 5, "minCount": 1, "minCountLabel": 0, "minn": 0, "maxn": 0, "neg": 5},
    **{"wordNgrams": 1, "loss": "softmax", "bucket": 2_000_000, "thread": None, "lrUpdateRate": 100, "t": 1e-4},
    **{"label": PREFIX, "verbose": 2, "pretrainedVectors": "", "seed": 0, "autotuneValidationFile": ""},
    **{"autotuneMetric": "f1", "autotunePredictions": 1, "autotuneDuration": 300, "autotuneModelSize": ""},
}
_LOSSES = ("softmax", "ns", "hs", "ova", "one-vs-all")
_USED = {"loss", "label", "verbose", "pretrainedVectors", "seed", "autotuneValidationFile"}
_MISSING = {
    **dict.fromkeys(("get_nearest_neighbors", "get_analogies"), "word vectors; see textrnn embed --neighbors"),
    **dict.fromkeys(("get_input_matrix", "get_output_matrix", "set_matrices"), "such matrices; see model.model"),
    **dict.fromkeys(("get_word_id", "get_subword_id", "get_subwords", "get_input_vector"), "such ids of words"),
    "get_line": "such method; see textrnn spm-encode",
}
"""Methods of fastText without a counterpart, and what is missing."""
_UNSUPERVISED = ("train_unsupervised", "skipgram", "cbow")
_warned: set[str] = set()

Labels = tuple[str, ...]
Probabilities = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float32]


class _FastText:
    """A model with the methods of a supervised fastText model; ``model_path`` is that of :func:`load_model`.

    ``predict`` applies no confidence thresholds that the model may have.
    """

    def __init__(self, model_path: str | os.PathLike[str] | None = None, *, model: Model | None = None) -> None:
        self.model = Model.load(model_path) if model is None else model
        if self.model.is_score:
            raise ValueError("the model predicts scores, which fastText does not; use textrnn.load")
        self._is_quantized = model_path is not None and is_quantized(Path(model_path))
        self._names = [PREFIX + name for name in self.model.labels]

    if not TYPE_CHECKING:  # a type checker reports such names itself

        def __getattr__(self, name: str) -> Any:
            if name in _MISSING:
                raise AttributeError(f"{name}: models of textrnn have no {_MISSING[name]}")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __contains__(self, word: str) -> bool:
        """Return whether ``word`` is one of :attr:`words`."""
        return word in self._word_set

    def __getitem__(self, word: str) -> Vector:
        """Return :meth:`get_word_vector`."""
        return self.get_word_vector(word)

    @property
    def labels(self) -> list[str]:
        """The labels, with their prefix."""
        return [*self._names]

    @property
    def words(self) -> list[str]:
        """The words that the tokenizer reads as a whole; it reads others in parts."""
        return [*self.model.words]

    def get_words(self, include_freq: bool = False, on_unicode_error: str = "strict") -> list[str]:
        """Return :attr:`words`; the model does not know their frequencies."""
        del on_unicode_error
        if include_freq:
            raise ValueError("include_freq: a model of textrnn does not know how often each word occurred")
        return self.words

    def get_dimension(self) -> int:
        """Return the length of the vectors of words and texts."""
        return len(self.get_sentence_vector(""))

    def get_sentence_vector(self, text: str) -> Vector:
        """Return the vector (W,) float32 of a text: the state of the network before its output layer.

        Raises:
            ValueError: the text contains a line break.
        """
        vector: Vector = self.model.embed(_check_lines([text]))[0]
        return vector

    def get_word_vector(self, word: str) -> Vector:
        """Return the vector (W,) float32 of the text that consists of ``word``."""
        return self.get_sentence_vector(word)

    def get_labels(self, include_freq: bool = False, on_unicode_error: str = "strict") -> list[str]:
        """Return :attr:`labels`; the model does not know their frequencies."""
        del on_unicode_error
        if include_freq:
            raise ValueError("include_freq: a model of textrnn does not know how often each label occurred")
        return self.labels

    @cached_property
    def _word_set(self) -> frozenset[str]:
        return frozenset(self.model.words)

    @overload
    def predict(
        self, text: str, k: int = 1, threshold: float = 0.0, on_unicode_error: str = "strict"
    ) -> tuple[Labels, Probabilities]: ...
    @overload
    def predict(
        self, text: list[str], k: int = 1, threshold: float = 0.0, on_unicode_error: str = "strict"
    ) -> tuple[list[list[str]], list[Probabilities]]: ...
    def predict(
        self, text: str | list[str], k: int = 1, threshold: float = 0.0, on_unicode_error: str = "strict"
    ) -> tuple[Labels, Probabilities] | tuple[list[list[str]], list[Probabilities]]:
        """Return the ``k`` likeliest labels (-1: all) with at least the probability ``threshold``, and these.

        A text gives a tuple of labels and an array (k,) float64; a list gives a list of lists and a list of arrays.

        Raises:
            ValueError: a text contains a line break, or ``k`` is 0.
        """
        del on_unicode_error
        if k == 0 or k < -1:
            raise ValueError("k needs to be 1 or higher, or -1 for all labels")
        texts = _check_lines(text if isinstance(text, list) else [text])
        rows = [*self._rank(texts, k, threshold)]
        if isinstance(text, list):
            return [[self._names[i] for i in best] for best, _ in rows], [p for _, p in rows]
        best, p = rows[0]
        return tuple(self._names[i] for i in best), p

    def test(self, path: str, k: int = 1, threshold: float = 0.0) -> tuple[int, float, float]:
        """Return the number of texts of a labelled file, and precision and recall at ``k``."""
        true, predicted, hits, texts = self._count(path, k, threshold)
        return (texts, _divide(hits.total(), predicted.total()), _divide(hits.total(), true.total()))

    def test_label(self, path: str, k: int = 1, threshold: float = 0.0) -> dict[str, dict[str, float]]:
        """Return precision, recall and f1score of each label that is true or predicted; NaN without cases."""
        true, predicted, hits, _ = self._count(path, k, threshold)
        scores = {}
        for name in sorted({*true, *predicted}):
            counts = (
                (hits[name], predicted[name]),
                (hits[name], true[name]),
                (2 * hits[name], predicted[name] + true[name]),
            )
            names = ("precision", "recall", "f1score")
            scores[name] = {score: _divide(*pair) for score, pair in zip(names, counts, strict=True)}
        return scores

    def save_model(self, path: str) -> None:
        """Write the model file; after :meth:`quantize` with weights in int8."""
        self.model.save(path, storage="int8" if self._is_quantized else "float32")

    def quantize(self, input: str | None = None, **options: Any) -> None:  # noqa: A002 - fastText's name
        """Let :meth:`save_model` write weights in int8, a quarter of the size."""
        _warn([name for name, value in ({"input": input} | options).items() if value])
        self._is_quantized = True

    def is_quantized(self) -> bool:
        """Return whether :meth:`quantize` was called, or the file holds weights in int8."""
        return self._is_quantized

    def _rank(self, texts: list[str], k: int, threshold: float) -> Iterator[tuple[list[int], Probabilities]]:
        """Yield the indices of the labels of each text and their probabilities, likeliest first."""
        for row in self.model.predict_proba(texts):
            best = np.argsort(-row, kind="stable")[: None if k == -1 else k]
            best = best[row[best] >= threshold]
            yield best.tolist(), row[best].astype(np.float64)

    def _count(self, path: str, k: int, threshold: float) -> tuple[Counter[str], Counter[str], Counter[str], int]:
        """Return how often each label is true, predicted and both, and the number of texts."""
        true, predicted, hits = Counter[str](), Counter[str](), Counter[str]()
        examples = read_examples(os.fspath(path), DataConfig(format="fasttext", multi_label=True))
        found = self.predict([example.text for example in examples], k=k, threshold=threshold)[0]
        for example, names in zip(examples, found, strict=True):
            own = {PREFIX + label for label in split_labels(example.label)}
            true.update(own)
            predicted.update(names)
            hits.update(own.intersection(names))
        return true, predicted, hits, len(examples)


def train_supervised(input: str | os.PathLike[str], **options: Any) -> _FastText:  # noqa: A002 - fastText's name
    """Train on a file in fastText's format, with the default settings of ``textrnn train``.

    ``loss="ova"`` trains a multi-label model, and so does a file that has several labels in a line.
    ``pretrainedVectors`` are word vectors in any format of ``textrnn train --vectors``,
    ``autotuneValidationFile`` is the validation set, ``seed`` the seed, and ``verbose=0`` is silent.

    Raises:
        TypeError: fastText has no such option.
        ValueError: ``label`` is another prefix than ``__label__``, or fastText has no such ``loss``.
        DataError, ConfigError: as :func:`textrnn.train`.
    """
    if unknown := sorted(options.keys() - _DEFAULTS.keys()):
        raise TypeError(f"train_supervised got an unexpected keyword argument '{unknown[0]}'")
    given = _DEFAULTS | options
    if given["label"] != PREFIX:
        raise ValueError(f"label: {given['label']!r}: labels have to begin with {PREFIX}")
    _warn({name: value for name, value in options.items() if name not in _USED and value != _DEFAULTS[name]})
    if given["loss"] not in _LOSSES:
        raise ValueError(f"loss should be one of {', '.join(_LOSSES)}, not {given['loss']!r}")
    settings: dict[str, Any] = {
        "data__format": "fasttext",
        "data__multi_label": given["loss"] in ("ova", "one-vs-all") or _has_several(input),
        "embedding__vectors": given["pretrainedVectors"] or None,
        "train__seed": options.get("seed"),
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    reporter = _Printer() if given["verbose"] else None
    return _FastText(model=train(input, valid=given["autotuneValidationFile"] or None, reporter=reporter, **settings))


def load_model(path: str | os.PathLike[str]) -> _FastText:
    """Load a model file or run folder of textrnn.

    Raises:
        ModelError: there is none, or it is a model of fastText.
    """
    return _FastText(path)


if not TYPE_CHECKING:  # a type checker reports such names itself

    def __getattr__(name: str) -> Any:
        if name in _UNSUPERVISED:
            raise AttributeError(f"{name}: textrnn trains no word vectors; train_supervised reads pretrainedVectors")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def install() -> None:
    """Let ``import fasttext`` and ``from fasttext.FastText import _FastText`` find this module, in this process."""
    sys.modules["fasttext"] = sys.modules["fasttext.FastText"] = FastText


FastText = sys.modules[__name__]
"""fastText's module of the same name."""


class _Printer(Reporter):
    """Prints notes and epochs on stderr."""

    def note(self, message: str) -> None:
        sys.stderr.write(f"textrnn: {message}\n")

    def end_epoch(self, record: EpochRecord) -> None:
        accuracy = f"accuracy {100 * record.accuracy:.2f} %"
        self.note(f"epoch {record.epoch}  loss {record.loss:.4f}  valid loss {record.valid_loss:.4f}  {accuracy}")


def _check_lines(texts: list[str]) -> list[str]:
    if any("\n" in text for text in texts):
        raise ValueError("predict processes one line at a time (remove '\\n')")
    return texts


def _has_several(path: str | os.PathLike[str]) -> bool:
    """Return whether a line has several labels. fastText draws one of them; a multi-label model learns all."""
    prefix = PREFIX.encode()
    for lines in read_blocks(os.fspath(path)):
        for line in lines:
            if line.count(prefix) > 1 and len({word for word in line.split() if word.startswith(prefix)}) > 1:
                return True
    return False


def _divide(count: int, total: int) -> float:
    return count / total if total else math.nan


def _warn(options: Iterable[str]) -> None:
    """Warn of ``options`` without effect, of each once in a process."""
    if names := [name for name in options if name not in _warned]:
        _warned.update(names)
        warnings.warn(f"no effect in textrnn, which has settings of its own: {', '.join(names)}", stacklevel=3)
