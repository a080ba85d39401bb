"""Explanation of a prediction by occlusion: the text is scored again without each of its parts.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (arXiv 1311.2901).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textrnn.data.batch import Ids
from textrnn.inference.engine import Engine, round_score
from textrnn.inference.pooling import Array

MAX_PARTS = 256
"""In longer texts, several neighboring parts are left out together."""
MAX_WORD_PIECES = 8
"""Longer words are split into their pieces: scripts without spaces would make a sentence one word."""

_MAX_IDS = 1 << 24  # that are held at once
_SPACE = "\u2581"  # begins a piece that begins a word


@dataclass(frozen=True)
class Part:
    """A part of a text, and for each explained label the probability with the part minus that without it.

    A model of scores has one effect: the score with the part minus that without it.
    """

    text: str
    effects: tuple[float, ...]


@dataclass(frozen=True)
class Explanation:
    """The explained ``labels``, their ``probabilities``, and the ``parts`` in the order of the text.

    A model of scores has a ``score`` instead of labels.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    parts: tuple[Part, ...]
    multi_label: bool
    score: float | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the parts as plain values for JSON: ``{"parts": [{"text": "a word", "effect": 0.25}, ...]}``.

        For a multi-label model an effect is a list with a number for each label.
        """
        rows = []
        for part in self.parts:
            effects = [round(effect, 6) for effect in part.effects]
            rows.append({"text": part.text, "effect": effects if self.multi_label else effects[0]})
        return {"parts": rows}

    def to_row(self) -> dict[str, object]:
        """Return ``label`` and ``probability``, or ``score``, and the ``parts`` of :meth:`to_dict`.

        Those of a multi-label model are lists.
        """
        if self.score is not None:
            return {"score": round_score(self.score), **self.to_dict()}
        probabilities = [round(probability, 6) for probability in self.probabilities]
        if self.multi_label:
            return {"label": list(self.labels), "probability": probabilities, **self.to_dict()}
        return {"label": self.labels[0], "probability": probabilities[0], **self.to_dict()}


def explain(
    engine: Engine, text: str, label: str | Sequence[str] | None = None, *, threads: int | None = None
) -> Explanation:
    """Return the effect of each part of ``text`` on the probability of ``label``, or of several labels.

    Without ``label``, the predicted labels are explained. Parts are words; long words are split
    (:data:`MAX_WORD_PIECES`), and parts of long texts are joined (:data:`MAX_PARTS`). Text that
    the model does not read has no parts. The cost is that of scoring P + 1 texts, where P is the number of parts.

    Raises:
        ValueError: the model has no such label, or predicts scores, or the list of labels is empty for a single-label
            model.
    """
    if engine.anchors is not None:
        if label is not None:
            raise ValueError("label: the model predicts scores; leave it out")
        labels: list[str] = []
    elif label is None:
        labels = [found.label for found in engine.predict([text], threads=threads)[0]]
    else:
        labels = [label] if isinstance(label, str) else list(label)
        if not labels and engine.thresholds is None:
            raise ValueError("label should name at least one label")
    columns = _find_columns(engine.labels, labels)
    ids, lengths = engine.encode([text, ""])
    full, empty = np.split(ids, lengths[:1])
    pieces = engine.encode_pieces(text)
    edges = [*find_parts(pieces), len(pieces)]
    bounds = list(zip(edges[:-1], edges[1:], strict=True))
    logits = _forward_remaining(engine, full, empty, cuts=[(0, 0), *bounds], threads=threads)
    found = engine.to_log_probabilities(logits)
    probabilities = np.exp(found)[:, columns] if engine.anchors is None else engine.to_scores(found)[:, None]
    effects = (probabilities[0] - probabilities[1:]).tolist()
    parts = [
        Part(engine.tokenizer.decode(pieces[start:stop]), tuple(row))
        for (start, stop), row in zip(bounds, effects, strict=True)
    ]
    first = probabilities[0].tolist()
    if engine.anchors is not None:
        return Explanation((), (), tuple(parts), multi_label=False, score=first[0])
    return Explanation(tuple(labels), tuple(first), tuple(parts), multi_label=engine.thresholds is not None)


def _forward_remaining(
    engine: Engine, full: Ids, empty: Ids, *, cuts: Sequence[tuple[int, int]], threads: int | None
) -> Array:
    """Return the logits (P, C) of ``full`` (N,) without each of ``cuts``, start and stop; ``empty`` if none is left."""
    size, logits = max(1, _MAX_IDS // len(full)), []
    for first in range(0, len(cuts), size):
        remaining = [np.concatenate([full[:start], full[stop:]]) for start, stop in cuts[first : first + size]]
        texts = [rest if len(rest) else empty for rest in remaining]
        lengths = np.array([*map(len, texts)], np.int64)
        logits.append(engine.forward_ids(np.concatenate(texts), lengths, threads=threads))
    return np.concatenate(logits)


def find_parts(pieces: Sequence[str]) -> list[int]:
    """Return the start of each part of a text: a word, a piece of a long or the only word, or a group of these."""
    edges = [*(i for i, piece in enumerate(pieces) if i == 0 or piece.startswith(_SPACE)), len(pieces)]
    starts: list[int] = []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        if len(edges) > 2 and stop - start <= MAX_WORD_PIECES:
            starts.append(start)
        else:  # a space alone belongs to the piece after it
            starts += [i for i in range(start, stop) if i == start or pieces[i - 1] != _SPACE]
    return starts[:: max(1, -(-len(starts) // MAX_PARTS))]


def _find_columns(known: Sequence[str], labels: Sequence[str]) -> list[int]:
    columns = {label: column for column, label in enumerate(known)}
    if unknown := next((label for label in labels if label not in columns), None):
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise ValueError(f"the model has no label {unknown!r}, only {shown}")
    return [columns[label] for label in labels]
