"""The Python API: ``textrnn.load(path).predict(["a text"])``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.errors import pluralize
from textrnn.inference import Precision, parse_precision
from textrnn.inference.engine import Engine, Prediction
from textrnn.inference.explain import Explanation, Part, explain
from textrnn.serialization.latest_run import find_latest

__all__ = ["Explanation", "Model", "Part", "Prediction"]


class Model:
    """A loaded model; :func:`textrnn.load` returns it.

    Threads may call its methods concurrently, and so may forked processes. It can be pickled and copied.

    Texts are ``str`` of any length; as in training, tokens after ``data.max_length`` are ignored. A lone surrogate is
    read as a question mark.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, *, precision: Precision = "fp32") -> Model:
        """Load a model as :func:`textrnn.load` does."""
        precision = parse_precision(precision)
        return cls(Engine.load(find_latest("with its path") if path is None else Path(path), precision=precision))

    def __repr__(self) -> str:
        return f"<textrnn.Model with {len(self.labels)} labels>"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the columns of :meth:`predict_proba`."""
        return self._engine.labels

    def predict(
        self, texts: Iterable[str], *, top_k: int | None = None, threshold: float | None = None
    ) -> list[list[Prediction]]:
        """Return the labels of each text with their probabilities, likeliest first.

        Args:
            texts: any iterable of ``str``.
            top_k: the number of labels for each text (None: 1). A multi-label model returns the ``top_k`` likeliest
                labels whatever their probability; with ``threshold``, at most that many.
            threshold: of a multi-label model: return labels with at least this probability, in [0, 1] (None: the
                threshold of each label that was tuned in training).

        Raises:
            TypeError: ``texts`` is a single ``str``, a table or a mapping, or an element is not a ``str``.
            ValueError: ``top_k`` or ``threshold`` is out of range, or the model is not multi-label.
        """
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k should be 1 or more, not {top_k}")
        if threshold is not None:
            if self._engine.thresholds is None:
                raise ValueError(f"threshold {threshold}: this model is not multi-label; leave the threshold out")
            if not 0 <= threshold <= 1:
                raise ValueError(f"threshold should be from 0 to 1, not {threshold}")
        return self._engine.predict(_check_texts(texts), top_k=top_k, threshold=threshold)

    def predict_proba(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        """Return the calibrated probabilities (B, C) float32 of the C :attr:`labels` for B texts.

        Rows add up to 1, except for a multi-label model, where labels are independent. Raises TypeError as
        :meth:`predict` does.
        """
        probabilities: npt.NDArray[np.float32] = np.exp(self._engine.predict_log_probabilities(_check_texts(texts)))
        return probabilities

    def explain(self, text: str, label: str | Sequence[str] | None = None) -> Explanation:
        """Return the effect of each word of ``text`` on the probability of ``label`` (None: the predicted labels).

        An effect is the probability with the word minus that without it. See :mod:`textrnn.inference.explain`.

        Raises:
            TypeError: ``text`` is not a ``str``.
            ValueError: the model has no such label.
        """
        if not isinstance(text, str):
            raise TypeError(f"text should be one str, not {type(text).__name__}")
        return explain(self._engine, _clean(text), label)


def _check_texts(texts: Iterable[str]) -> list[str]:
    kind = type(texts).__name__
    if isinstance(texts, str | bytes):
        raise TypeError(f"texts should be a list of str, not one {kind}; write [text] for a single text")
    if hasattr(texts, "columns"):  # pandas, polars, pyarrow
        raise TypeError(f"texts should be one column, such as df['text'], not a whole {kind}")
    if isinstance(texts, Mapping) or not isinstance(texts, Iterable):
        raise TypeError(f"texts should be a list of str, not {kind}")
    checked: list[Any] = list(texts)
    wrong = [number for number, text in enumerate(checked) if not isinstance(text, str)]
    if wrong:
        first = checked[wrong[0]]
        found = first if isinstance(first, float | None) else type(first).__name__  # NaN and None mark missing texts
        count = f"{len(wrong):,} of {pluralize(len(checked), 'text', 'texts')}"
        raise TypeError(f"texts[{wrong[0]}] should be a str, not {found} ({count}); drop, fill or convert them first")
    return [_clean(text) for text in checked]


def _clean(text: str) -> str:
    """Return ``text`` with question marks for lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
