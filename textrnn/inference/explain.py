"""Which parts of a text a prediction hangs on, by occlusion: the text is scored without each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textrnn.inference.engine import Engine

MAX_PARTS = 256
"""A text of more parts than this is left without several neighbours at a time."""
MAX_WORD_PIECES = 8
"""A word of more pieces counts as its pieces: in scripts that put no blanks between words a sentence is one."""

_META = "\u2581"  # a piece that begins with it begins a word


@dataclass(frozen=True)
class Part:
    """A part of a text, and for each label that is explained the probability with it minus that without it."""

    text: str
    effects: tuple[float, ...]


@dataclass(frozen=True)
class Explanation:
    """The ``labels`` that are explained, their ``probabilities``, and the ``parts`` in the order of the text.

    ``several`` says that the model may give a text several labels.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    parts: tuple[Part, ...]
    several: bool

    def to_dict(self) -> dict[str, object]:
        """Return the parts as JSON has them: ``{"parts": [{"text": "a word", "effect": 0.25}, ...]}``.

        An effect is a number; of a model of several labels it is a list, with a number for each label.
        """
        rows = []
        for part in self.parts:
            effects = [round(effect, 6) for effect in part.effects]
            rows.append({"text": part.text, "effect": effects if self.several else effects[0]})
        return {"parts": rows}


def explain(
    engine: Engine, text: str, label: str | Sequence[str] | None = None, *, threads: int | None = None
) -> Explanation:
    """Return what each part of ``text`` does to the probability of ``label``, or of several labels.

    Without ``label`` those are explained that the model gives. Parts are words, but for long ones and long texts
    (:data:`MAX_WORD_PIECES`, :data:`MAX_PARTS`), of as much of the text as the model reads. A text of P parts and N
    pieces costs as much as P + 2 texts of N pieces.

    Raises:
        ValueError: the model has no such label, or gives a text one label and none is named.
    """
    if label is None:
        labels = [found.label for found in engine.predict([text], threads=threads)[0]]
    else:
        labels = [label] if isinstance(label, str) else list(label)
        if not labels and engine.thresholds is None:
            raise ValueError("label should name one label at least")
    columns = _find_columns(engine.labels, labels)
    ids, lengths = engine.encode([text, ""])
    whole, nothing = np.split(ids, lengths[:1])
    pieces = engine.tokenizer.encode_pieces(text)[: len(whole)]
    edges = [*find_parts(pieces), len(pieces)]
    bounds = list(zip(edges[:-1], edges[1:], strict=True))
    left = [np.concatenate([whole[:start], whole[stop:]]) for start, stop in bounds]
    texts = [whole, *(rest if len(rest) else nothing for rest in left)]
    logits = engine.forward_ids(np.concatenate(texts), np.array([*map(len, texts)], np.int64), threads=threads)
    probabilities = np.exp(engine.to_log_probabilities(logits))[:, columns]
    effects = (probabilities[0] - probabilities[1:]).tolist()
    parts = [
        Part(engine.tokenizer.decode(pieces[start:stop]), tuple(row))
        for (start, stop), row in zip(bounds, effects, strict=True)
    ]
    return Explanation(
        tuple(labels), tuple(probabilities[0].tolist()), tuple(parts), several=engine.thresholds is not None
    )


def find_parts(pieces: Sequence[str]) -> list[int]:
    """Return where each part of a text begins: at a word, at a piece of a long or only word, at a window of these."""
    edges = [*(i for i, piece in enumerate(pieces) if i == 0 or piece.startswith(_META)), len(pieces)]
    starts: list[int] = []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        if len(edges) > 2 and stop - start <= MAX_WORD_PIECES:
            starts.append(start)
        else:  # a blank by itself goes with the piece after it
            starts += [i for i in range(start, stop) if i == start or pieces[i - 1] != _META]
    return starts[:: max(1, -(-len(starts) // MAX_PARTS))]


def _find_columns(known: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Return the number of each of ``labels`` in the model's order."""
    numbers = {label: number for number, label in enumerate(known)}
    if wrong := next((label for label in labels if label not in numbers), None):
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise ValueError(f"label {wrong!r} is none of this model's: {shown}")
    return [numbers[label] for label in labels]
