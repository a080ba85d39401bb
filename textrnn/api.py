"""A loaded model as a library gives it: ``textrnn.load(path).predict(["a text"])``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from textrnn.inference import Precision
from textrnn.inference.engine import Engine, Prediction
from textrnn.inference.explain import Explanation, Part, explain
from textrnn.serialization.latest_run import find_latest

__all__ = ["Explanation", "Model", "Part", "Prediction"]


class Model:
    """A model that predicts; :func:`textrnn.load` gives it. All methods may be called by several threads at once.

    Texts are ``str`` of any length, of which as many pieces are read as in training (``data.max_length``). Half of a
    surrogate pair, which is no character, is read as a question mark.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, *, precision: Precision = "float32") -> Model:
        """Load what :func:`textrnn.load` says, and raise what it raises."""
        if precision not in get_args(Precision):
            raise ValueError(f"precision should be one of {', '.join(get_args(Precision))}, not {precision!r}")
        found = find_latest("with its path") if path is None else Path(path)
        return cls(Engine.load(found, precision=precision))

    def __repr__(self) -> str:
        return f"<textrnn.Model of {len(self.labels)} labels>"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the columns of :meth:`predict_proba`."""
        return self._engine.labels

    def predict(
        self, texts: Iterable[str], *, top_k: int | None = None, threshold: float | None = None
    ) -> list[list[Prediction]]:
        """Return the labels of each text with their probabilities, likeliest first.

        Args:
            texts: a list, or whatever gives one text after the other.
            top_k: of a model that gives a text one label: how many to list (None: one). Of one that may give several:
                the likeliest so many, whatever their probability, unless there is a ``threshold``.
            threshold: of a model that may give a text several labels: give those of at least this probability, in
                [0, 1] (None: a threshold for each label, as tuned in training).

        Raises:
            TypeError: ``texts`` is a single ``str``, or one of them is no ``str``.
            ValueError: ``top_k`` or ``threshold`` out of range, or a threshold for a model of one label a text.
        """
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k should be 1 or more, not {top_k}")
        if threshold is not None:
            if self._engine.thresholds is None:
                raise ValueError(f"threshold {threshold}: this model gives every text one label; leave it out")
            if not 0 <= threshold <= 1:
                raise ValueError(f"threshold should be from 0 to 1, not {threshold}")
        return self._engine.predict(_check_texts(texts), top_k=top_k, threshold=threshold)

    def predict_proba(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        """Return the calibrated probabilities (B, C) float32 of B texts and the C :attr:`labels`.

        Rows add up to 1, or where a text may have several labels each probability stands by itself. Raises what
        :meth:`predict` raises.
        """
        probabilities: npt.NDArray[np.float32] = np.exp(self._engine.predict_log_probabilities(_check_texts(texts)))
        return probabilities

    def explain(self, text: str, label: str | Sequence[str] | None = None) -> Explanation:
        """Return what each word of ``text`` does to the probability of ``label`` (None: of what the model gives).

        An effect is the probability with the word minus that without it. See :mod:`textrnn.inference.explain`.

        Raises:
            TypeError: ``text`` is no ``str``.
            ValueError: the model has no such label.
        """
        if not isinstance(text, str):
            raise TypeError(f"text should be one str, not {type(text).__name__}")
        return explain(self._engine, _clean(text), label)


def _check_texts(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str | bytes):
        raise TypeError(f"texts should be a list of str, not one {type(texts).__name__}; write [text] for a single one")
    found = list(texts)
    for number, text in enumerate(found):
        if not isinstance(text, str):
            raise TypeError(f"texts[{number}] should be a str, not {type(text).__name__}")
    return [_clean(text) for text in found]


def _clean(text: str) -> str:
    """Return ``text`` without halves of surrogate pairs, which UTF-8 cannot write."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
