"""The labels of a text: one label, or a set of labels that is read and counted as a unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import PackedBatch, pack
from textrnn.errors import shorten

Integers = npt.NDArray[np.int64]

PRINTED_SEPARATOR = "|"
"""Between the labels of a text in output, if the training set used no separator."""

_SEPARATOR = "\t"  # of joined labels: no label holds a tab


def join_labels(labels: Sequence[str]) -> str:
    """Return the labels of one text as one string; a single label is returned unchanged."""
    return _SEPARATOR.join(labels)


def split_labels(joined: str) -> list[str]:
    """Return the labels that :func:`join_labels` was given."""
    return joined.split(_SEPARATOR) if joined else []


def parse_label_set(joined: str) -> tuple[str, ...]:
    """Return joined labels as a sorted tuple: texts with the same labels in another order have equal sets."""
    return tuple(sorted(split_labels(joined)))


def unique_label_sets(joined: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the distinct label sets, sorted."""
    return sorted(set(map(parse_label_set, joined)))


@dataclass(frozen=True)
class MultiLabelSet:
    """The distinct label sets of texts, numbered from 0.

    ``members``: the labels of each set, as label indices end to end; ``label_count``: the number of labels.
    """

    members: PackedBatch
    label_count: int

    @classmethod
    def of(cls, sets: Iterable[Sequence[int]], label_count: int) -> MultiLabelSet:
        """Return the sets given as lists of label indices."""
        return cls(pack(list(sets)), label_count)

    def to_multi_hot(self, classes: Integers) -> npt.NDArray[np.bool_]:
        """Return the multi-hot matrix (B, label_count) of the sets with the indices ``classes`` (B,)."""
        chosen = self.members.select(classes)
        matrix = np.zeros((len(classes), self.label_count), np.bool_)
        matrix[np.repeat(np.arange(len(classes)), chosen.lengths), chosen.ids] = True
        return matrix

    def count_labels(self, texts: Integers) -> Integers:
        """Return the number of texts with each label (label_count,), given the number with each set (sets,)."""
        counts = np.zeros(self.label_count, np.int64)
        np.add.at(counts, self.members.ids, np.repeat(texts, self.members.lengths))
        return counts


class LabelSetIndex:
    """Numbers label sets and their labels from 0 in order of appearance; those that appear together, sorted."""

    def __init__(self) -> None:
        self._labels: dict[str, int] = {}
        self._sets: dict[tuple[str, ...], int] = {}

    def encode(self, joined: Sequence[str]) -> Integers:
        """Return the index of each set; new sets get new indices."""
        sets = [parse_label_set(labels) for labels in joined]
        new = sorted(set(sets) - self._sets.keys())
        for label in sorted({label for members in new for label in members} - self._labels.keys()):
            self._labels[label] = len(self._labels)
        for members in new:
            self._sets[members] = len(self._sets)
        return np.array([self._sets[members] for members in sets], np.int64)

    @property
    def label_sets(self) -> MultiLabelSet:
        """All sets so far."""
        return MultiLabelSet.of(
            [[self._labels[label] for label in members] for members in self._sets], len(self._labels)
        )


def is_label(text: str) -> bool:
    """Return whether ``text`` can be printed as one field of a line of UTF-8."""
    return bool(text.strip()) and not any(c in "\t\n\r" or "\ud800" <= c <= "\udfff" for c in text)


def find_label_fault(labels: Sequence[str]) -> str | None:
    """Return what is wrong with the labels of one text, or None."""
    if any(not label.strip() for label in labels):
        return "the label is empty" if len(labels) == 1 else "one of the labels is empty"
    if not all(map(is_label, labels)):
        return "the label contains a tab or a line end"
    if len(set(labels)) < len(labels):
        return f"a label occurs twice; keep one '{shorten(next(label for label in labels if labels.count(label) > 1))}'"
    return None


def one_score_fault(score: str) -> str:
    """Return the fault of a training set with one score."""
    return f"every text has the score {float(score):g}; training needs two"


def one_label_fault(label: str) -> str:
    """Return the reason why texts that all have the label ``label`` cannot be trained on."""
    return f"every text has the label '{shorten(label)}'; training needs at least two labels"


def find_label_set_fault(sets: Sequence[tuple[str, ...]], separator: str | None) -> str | None:
    """Return the reason why texts with these distinct label sets cannot be trained on, or None."""
    if len(sets) < 2:
        labels = ", ".join(label for members in sets for label in members)
        if not labels:
            return "no text has a label; data.multi_label needs some texts with labels"
        return f"every text has the same labels ({labels}); training needs texts with different labels"
    if separator is not None and max(map(len, sets)) < 2:
        return f"no label contains data.label_separator '{separator}'; set the right separator, or null"
    return None


def make_strata(classes: Integers, counts: Sequence[int], label_sets: MultiLabelSet | None) -> Integers:
    """Return the stratum of each entry of a file's label table, for a split that takes the same share of each.

    ``classes`` and ``counts`` are the entries' classes and numbers of texts. Without ``label_sets`` the strata are the
    classes. With them, all sets that only one text has form one stratum, because multi-label data may have no other
    sets. A set with a label that no other text has keeps its own stratum, so that its text stays in the training set.
    """
    if label_sets is None:
        return classes
    members = label_sets.members
    texts = np.bincount(classes, counts, len(members)).astype(np.int64)
    single = texts == 1
    rare = np.flatnonzero(label_sets.count_labels(texts) == 1)
    set_of_member = np.repeat(np.arange(len(texts)), members.lengths)
    single[set_of_member[np.isin(members.ids, rare)]] = False
    return np.where(single[classes], len(texts), classes)
