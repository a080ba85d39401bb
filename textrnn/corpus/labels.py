"""The labels of a text: one, or a set of them, which is read and counted as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.corpus.batching import PackedBatch, pack

_BETWEEN = "\t"  # joined labels: no label holds one


def join_labels(labels: Sequence[str]) -> str:
    """Return the labels of one text as one string, which stands for them all; one label stands for itself."""
    return _BETWEEN.join(labels)


def split_labels(joined: str) -> list[str]:
    """Return the labels that :func:`join_labels` was given."""
    return joined.split(_BETWEEN) if joined else []


@dataclass(frozen=True)
class LabelSets:
    """The different sets of labels that texts have, numbered from 0, over labels that are numbered from 0 themselves.

    ``members``: the labels of each set, end to end; ``width``: how many labels there are.
    """

    members: PackedBatch
    width: int

    @classmethod
    def of(cls, sets: Iterable[Sequence[int]], width: int) -> LabelSets:
        """Return the sets that are given as the numbers of their labels."""
        return cls(pack(list(sets)), width)

    def make_matrix(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which labels (B, width) the sets ``numbers`` (B,) have."""
        found = self.members.select(numbers)
        matrix = np.zeros((len(numbers), self.width), np.bool_)
        matrix[np.repeat(np.arange(len(numbers)), found.lengths), found.ids] = True
        return matrix

    def count_labels(self, texts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return how many texts have each label (width,), where ``texts`` (sets,) have each set."""
        counts = np.zeros(self.width, np.int64)
        np.add.at(counts, self.members.ids, np.repeat(texts, self.members.lengths))
        return counts
