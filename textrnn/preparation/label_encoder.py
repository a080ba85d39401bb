"""What a run learns to tell: its labels, and the class of each text, which is a label or a set of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from textrnn.config import DataConfig
from textrnn.data.batch import Classes
from textrnn.data.labels import LabelSetIndex, MultiLabelSet, find_label_set_fault, one_label_fault, unique_label_sets
from textrnn.data.source import LabelledFile
from textrnn.errors import DataError
from textrnn.serialization.model_file import make_labels


class LabelEncoder(Protocol):
    """The labels of the training text, and what they make of another file's."""

    labels: tuple[str, ...]

    def number(self, of_file: Sequence[str]) -> Classes:
        """Return the class of each entry of a file's table of labels (-1: not known)."""

    @property
    def sets(self) -> MultiLabelSet | None:
        """What the classes stand for: the sets of labels of all files so far; None: each for one label."""


class SingleLabelEncoder:
    """A text has one label; its class is the place of that among ``labels``.

    Raises:
        DataError: all texts have the same.
    """

    sets = None

    def __init__(self, train: LabelledFile) -> None:
        self.labels = make_labels(train.labels)
        self._places = {label: index for index, label in enumerate(self.labels)}
        if len(self.labels) < 2:
            raise DataError(train.path, None, one_label_fault(self.labels[0]))

    def number(self, of_file: Sequence[str]) -> Classes:
        """Return the class of each entry of a file's table of labels (-1: not known)."""
        return np.array([self._places.get(label, -1) for label in of_file], np.int64)


class MultiLabelEncoder:
    """A text has a set of labels; its class is the number of that set.

    Labels that are not in the training text come after those that are; a model never gives them.

    Raises:
        DataError: there is no label, all texts have the same, or the separator divides none.
    """

    def __init__(self, train: LabelledFile, config: DataConfig) -> None:
        sets = unique_label_sets(train.labels)
        self.labels = make_labels([label for members in sets for label in members])
        if fault := find_label_set_fault(sets, config.label_separator):
            raise DataError(train.path, None, fault)
        self._numbers = LabelSetIndex()
        self._numbers.encode(train.labels)

    def number(self, of_file: Sequence[str]) -> Classes:
        """Return the class of each entry of a file's table of labels; sets that are new get numbers of their own."""
        return self._numbers.encode(of_file)

    @property
    def sets(self) -> MultiLabelSet:
        """The sets of labels of all files so far."""
        return self._numbers.label_sets


def make_label_encoder(train: LabelledFile, config: DataConfig) -> LabelEncoder:
    """Return what the labels of ``train`` are to be taken for; raises DataError where there is nothing to learn."""
    return MultiLabelEncoder(train, config) if config.multi_label else SingleLabelEncoder(train)
