"""Label encoders: the class of each text, which is the index of its label, or of its set of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from textrnn.config import DataConfig
from textrnn.data.batch import Classes
from textrnn.data.labels import LabelSetIndex, MultiLabelSet, find_label_set_fault, one_label_fault, unique_label_sets
from textrnn.data.reading.source import LabelledFile
from textrnn.errors import DataError
from textrnn.serialization.model_file import make_labels


class SingleLabelEncoder:
    """The encoder of texts with one label each.

    Raises:
        DataError: all texts have the same label.
    """

    label_sets = None

    def __init__(self, train: LabelledFile) -> None:
        self.labels = make_labels([*train.labels, *_list_soft(train)])
        self._classes = {label: index for index, label in enumerate(self.labels)}
        if len(self.labels) < 2:
            raise DataError(train.path, None, one_label_fault(self.labels[0]))

    def encode(self, table: Sequence[str]) -> Classes:
        """Return the class of each entry of a file's table of labels; -1 for a label that is not in ``labels``."""
        return np.array([self._classes.get(label, -1) for label in table], np.int64)

    encode_labels = encode


class MultiLabelEncoder:
    """The encoder of texts with any number of labels.

    Labels that the training set lacks come after all others; a model never predicts them.

    Raises:
        DataError: no text has a label, all texts have the same labels, or no label contains the separator.
    """

    def __init__(self, train: LabelledFile, config: DataConfig) -> None:
        sets = unique_label_sets([*train.labels, *_list_soft(train)])
        self.labels = make_labels([label for members in sets for label in members])
        if fault := find_label_set_fault(sets, config.label_separator):
            raise DataError(train.path, None, fault)
        self._numbers = LabelSetIndex()
        self._numbers.encode([*train.labels, *_list_soft(train)])

    def encode(self, table: Sequence[str]) -> Classes:
        """Return the class of each entry of a file's table of labels; new sets of labels become new classes."""
        return self._numbers.encode(table)

    def encode_labels(self, labels: Sequence[str]) -> Classes:
        """Return the index of each of ``labels``; -1 for a label that is not in the attribute ``labels``."""
        places = {label: place for place, label in enumerate(self.labels)}
        return np.array([places.get(label, -1) for label in labels], np.int64)

    @property
    def label_sets(self) -> MultiLabelSet:
        """The sets of labels of all files so far, in the order of their classes."""
        return self._numbers.label_sets


LabelEncoder = SingleLabelEncoder | MultiLabelEncoder


def _list_soft(file: LabelledFile) -> list[str]:
    """Return the labels of the distributions of ``file``."""
    return [] if file.soft_labels is None else file.soft_labels.labels


def make_label_encoder(train: LabelledFile, config: DataConfig) -> LabelEncoder:
    """Return the encoder for the labels of ``train``; raises DataError if they cannot be learned."""
    return MultiLabelEncoder(train, config) if config.multi_label else SingleLabelEncoder(train)
