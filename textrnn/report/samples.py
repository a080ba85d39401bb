"""Bounded samples of the texts that a model was evaluated on."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from textrnn.evaluation.label_errors import find_label_errors

PER_CELL = 4
MAX_CELLS = 40_000
CELL_CHARACTERS = 160
EXTREME_CHARACTERS = 4000
"""Longer texts are cut: the model reads only their beginning, and the page shows less."""
_CUT = "…"


@dataclass(frozen=True)
class Sample:
    """A text, its labels (several are joined by tabs), and a label with its probability."""

    text: str
    true: str
    label: str
    probability: float


def cut(text: str, characters: int) -> str:
    """Return ``text`` with at most ``characters`` characters."""
    return text if len(text) <= characters else text[: characters - 1] + _CUT


class LabelErrorSearch:
    """Finds texts with a probably wrong label, if there are few enough texts to hold their probabilities."""

    MAX_TEXTS = 50_000
    MAX_PROBABILITIES = 2_000_000

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels, self._texts = labels, 0
        self._parts: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]] = []
        self._samples: list[str] = []

    def add(self, true: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32], texts: Sequence[str]) -> None:
        """Add texts with ``probabilities`` (B, C) and the columns ``true`` (B,), -1 for a label that has none."""
        self._texts += len(texts)
        if self.is_exceeded:
            self._parts, self._samples = [], []
            return
        known = np.flatnonzero(true >= 0)
        self._parts.append((probabilities[known], true[known].astype(np.int64)))
        self._samples += [cut(texts[row], CELL_CHARACTERS) for row in known.tolist()]

    @property
    def is_exceeded(self) -> bool:
        """True if there were too many texts."""
        return self._texts > self.MAX_TEXTS or self._texts * len(self._labels) > self.MAX_PROBABILITIES

    def find(self, most: int) -> tuple[list[Sample], int] | None:
        """Return the ``most`` probable errors and the number of all; a sample has the suggested label.

        None if there were too many texts.
        """
        if self.is_exceeded:
            return None
        if not self._samples:
            return [], 0
        probabilities, true = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        found = find_label_errors(probabilities, true)
        pairs = zip(found.rows[:most].tolist(), found.suggested[:most].tolist(), strict=True)
        samples = [
            Sample(self._samples[row], self._labels[true[row]], self._labels[label], float(probabilities[row, label]))
            for row, label in pairs
        ]
        return samples, len(found)


class CellSamples:
    """A random sample of the texts in each cell (true label, predicted label) of a confusion matrix."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._cells: dict[tuple[str, str], list[tuple[float, str]]] = {}

    def add(self, true: Sequence[str], predicted: Sequence[str], texts: Sequence[str]) -> None:
        """Add texts with their labels; the texts with the smallest random numbers are kept."""
        keys = self._rng.random(len(texts)).tolist()
        for key, cell, text in zip(keys, zip(true, predicted, strict=True), texts, strict=True):
            kept = self._cells.get(cell)
            if kept is None:
                if len(self._cells) < MAX_CELLS:
                    self._cells[cell] = [(-key, cut(text, CELL_CHARACTERS))]
            elif len(kept) < PER_CELL:
                heapq.heappush(kept, (-key, cut(text, CELL_CHARACTERS)))
            elif -key > kept[0][0]:
                heapq.heapreplace(kept, (-key, cut(text, CELL_CHARACTERS)))

    def get(self, true: str, predicted: str) -> list[str]:
        """Return the texts of a cell, at most ``PER_CELL``."""
        return [text for _, text in sorted(self._cells.get((true, predicted), []), reverse=True)]


@dataclass
class Extremes:
    """The ``size`` samples with the highest scores; of equal scores the first."""

    size: int
    _heap: list[tuple[float, int, Sample]] = field(default_factory=list)
    _seen: int = 0

    def choose(self, scores: npt.NDArray[np.float32]) -> list[int]:
        """Return the places of the candidates among texts with ``scores`` (B,), -inf for texts that are none."""
        best = np.argsort(-scores, kind="stable")[: self.size]
        lowest = self._heap[0][0] if len(self._heap) == self.size else -np.inf
        return [int(place) for place in best if scores[place] > lowest]

    def add(self, score: float, sample: Sample) -> None:
        """Add a candidate."""
        self._seen += 1
        entry = (score, -self._seen, sample)
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    @property
    def samples(self) -> list[Sample]:
        """The samples, highest score first."""
        return [sample for _, _, sample in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]
