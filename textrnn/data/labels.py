"""The labels of a text: one, or a set of them, which is read and counted as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import PackedBatch, pack

Numbers = npt.NDArray[np.int64]

_BETWEEN = "\t"  # joined labels: no label holds one


def join_labels(labels: Sequence[str]) -> str:
    """Return the labels of one text as one string, which stands for them all; one label stands for itself."""
    return _BETWEEN.join(labels)


def split_labels(joined: str) -> list[str]:
    """Return the labels that :func:`join_labels` was given."""
    return joined.split(_BETWEEN) if joined else []


@dataclass(frozen=True)
class MultiLabelSet:
    """The different sets of labels that texts have, numbered from 0, over labels that are numbered from 0 themselves.

    ``members``: the labels of each set, end to end; ``width``: how many labels there are.
    """

    members: PackedBatch
    width: int

    @classmethod
    def of(cls, sets: Iterable[Sequence[int]], width: int) -> MultiLabelSet:
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


class SetNumbers:
    """Numbers sets of labels, and the labels in them, from 0 as they first come; those that come together, sorted."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._numbers: dict[tuple[str, ...], int] = {}

    def number(self, joined: Sequence[str]) -> Numbers:
        """Return the number of each set; new ones get numbers of their own."""
        sets = [unify(one) for one in joined]
        new = sorted(set(sets) - self._numbers.keys())
        for label in sorted({label for members in new for label in members} - self._places.keys()):
            self._places[label] = len(self._places)
        for members in new:
            self._numbers[members] = len(self._numbers)
        return np.array([self._numbers[members] for members in sets], np.int64)

    @property
    def sets(self) -> MultiLabelSet:
        """All sets so far."""
        return MultiLabelSet.of(
            [[self._places[label] for label in members] for members in self._numbers], len(self._places)
        )


def unify(joined: str) -> tuple[str, ...]:
    """Return the labels of :func:`join_labels` as a set that is the same in whatever order they stood."""
    return tuple(sorted(split_labels(joined)))


def unify_sets(joined: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the different sets of labels, sorted."""
    return sorted({unify(one) for one in joined})


def find_fault_of_sets(sets: Sequence[tuple[str, ...]], separator: str | None) -> str | None:
    """Return why there is nothing to learn from texts with these different sets of labels."""
    if len(sets) < 2:
        shown = ", ".join(label for members in sets for label in members)
        if not shown:
            return "holds no label; with data.multi_label some texts at least should have one"
        return f"every text has the same labels ({shown}); there is nothing to tell apart"
    if separator is not None and max(map(len, sets)) < 2:
        return f"no text has two labels: data.label_separator '{separator}' divides none; name another, or none"
    return None


def group_for_holding_out(classes: Numbers, counts: Sequence[int], sets: MultiLabelSet | None) -> Numbers:
    """Return the groups of which the same share is held out, for a file's entries with ``classes`` and ``counts``.

    They are the classes; but sets that one text has are one group together, as there may be no others. A set that has
    a label which no other text has stays by itself, and so with the text that is trained on.
    """
    if sets is None:
        return classes
    texts = np.bincount(classes, counts, len(sets.members)).astype(np.int64)
    alone = texts == 1
    rare = np.flatnonzero(sets.count_labels(texts) == 1)
    of_member = np.repeat(np.arange(len(texts)), sets.members.lengths)
    alone[of_member[np.isin(sets.members.ids, rare)]] = False
    return np.where(alone[classes], len(texts), classes)
