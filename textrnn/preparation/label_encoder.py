"""Label encoders: the class of each text, which is the index of its label, or of its set of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from textrnn.config import DataConfig
from textrnn.data.batch import Classes
from textrnn.data.labels import (
    LabelSetIndex,
    MultiLabelSet,
    find_label_set_fault,
    one_label_fault,
    one_score_fault,
    split_labels,
    unique_label_sets,
)
from textrnn.data.reading.source import LabelledFile
from textrnn.data.score_targets import ScoreTargets
from textrnn.data.soft_labels import SoftLabelTable
from textrnn.errors import DataError, name_place, pluralize, shorten
from textrnn.serialization.model_file import make_labels

ANCHORS = 21
"""The most scores of the training set that are anchors."""


class SingleLabelEncoder:
    """The encoder of texts with one label each; ``known`` are the labels of an initial model, which are kept.

    Raises:
        DataError: all texts have the same label, and there is no other.
    """

    label_sets = anchors = None

    def __init__(self, train: LabelledFile, known: Sequence[str] = ()) -> None:
        self.labels = make_labels([*train.labels, *_list_soft(train), *known])
        self._classes = {label: index for index, label in enumerate(self.labels)}
        if len(self.labels) < 2:
            raise DataError(train.path, None, one_label_fault(self.labels[0]))

    def encode(self, table: Sequence[str]) -> Classes:
        """Return the class of each entry of a file's table of labels; -1 for a label that is not in ``labels``."""
        return np.array([self._classes.get(label, -1) for label in table], np.int64)

    def make_soft_labels(self, file: LabelledFile) -> SoftLabelTable | None:
        """Return the distributions of the rows of ``file`` over the classes, or None without any."""
        return _bind(file.soft_labels, self._classes)


class MultiLabelEncoder:
    """The encoder of texts with any number of labels.

    ``known`` are the labels of an initial model, which are kept. Labels that neither it nor the training set has come
    after all others; a model never predicts them.

    Raises:
        DataError: without ``known`` no text has a label, all texts have the same labels, or no label contains the
            separator.
    """

    anchors = None

    def __init__(self, train: LabelledFile, config: DataConfig, known: Sequence[str] = ()) -> None:
        joined = [*train.labels, *_list_soft(train), *known]
        sets = unique_label_sets(joined)
        self.labels = make_labels([label for members in sets for label in members])
        if not known and (fault := find_label_set_fault(sets, config.label_separator)):
            raise DataError(train.path, None, fault)
        self._numbers = LabelSetIndex()
        self._numbers.encode(joined)

    def encode(self, table: Sequence[str]) -> Classes:
        """Return the class of each entry of a file's table of labels; new sets of labels become new classes."""
        return self._numbers.encode(table)

    def make_soft_labels(self, file: LabelledFile) -> SoftLabelTable | None:
        """Return the distributions of the rows of ``file`` over the labels, or None without any."""
        classes = {label: index for index, label in enumerate(self.labels)}
        table = _bind(file.soft_labels, classes)
        return None if table is None else replace(table, sums_to_1=False)

    @property
    def label_sets(self) -> MultiLabelSet:
        """The sets of labels of all files so far, in the order of their classes."""
        return self._numbers.label_sets


class ScoreEncoder:
    """The encoder of scores: the classes are anchors, rising.

    These are the distinct scores of the training set, or its quantiles if there are more than ``ANCHORS``. Beyond the
    lowest and the highest of three or more is another anchor, as far away as the next: the distributions of these two
    scores then have two sides, as all others have. A text's class is the nearest anchor, and the mean of its
    distribution (:class:`textrnn.data.score_targets.ScoreTargets`) is its score. The anchors of an initial model,
    ``known``, are kept, and the lowest and the highest score join them if they are outside.

    Raises:
        DataError: all texts have the same score, and there is no other.
    """

    label_sets = None

    def __init__(self, train: LabelledFile, known: Sequence[str] = ()) -> None:
        scores, counts = np.array(train.labels, np.float64), np.array(train.counts)
        distinct = np.unique(scores)
        if known:
            kept = np.array(known, np.float64)
            distinct = np.unique([min(distinct[0], kept[0]), *kept, max(distinct[-1], kept[-1])])
        elif len(distinct) < 2:
            raise DataError(train.path, None, one_score_fault(train.labels[0]))
        elif len(distinct) > ANCHORS:
            distinct = np.unique(np.quantile(np.repeat(scores, counts), np.linspace(0, 1, ANCHORS)))
        if not known and len(distinct) > 2:
            ends = _extrapolate(*distinct[[1, 0]]), _extrapolate(*distinct[[-2, -1]])
            distinct = np.unique(np.append(distinct, ends))
        self.labels = tuple(repr(float(anchor)).removesuffix(".0") for anchor in distinct)
        self.anchors = np.array(self.labels, np.float64)

    def encode(self, table: Sequence[str]) -> Classes:
        """Return the nearest anchor of each entry of a file's table of scores."""
        places = np.interp(np.array(table, np.float64), self.anchors, np.arange(len(self.anchors)))
        return np.rint(places).astype(np.int64)

    def make_soft_labels(self, file: LabelledFile) -> ScoreTargets:
        """Return the scores of the rows of ``file`` as distributions over the anchors."""
        return ScoreTargets(file.classes, np.array(file.labels, np.float64), self.anchors)


def _extrapolate(inner: float, outer: float) -> float:
    """Return the number that is as far beyond ``outer`` as ``inner`` is before it."""
    return float(2 * Decimal(repr(float(outer))) - Decimal(repr(float(inner))))  # 0.3, not 0.30000000000000004


LabelEncoder = SingleLabelEncoder | MultiLabelEncoder | ScoreEncoder


def _bind(table: SoftLabelTable | None, classes: Mapping[str, int]) -> SoftLabelTable | None:
    """Return ``table`` with the class of each of its labels; -1 for one that is not in ``classes``."""
    if table is None:
        return None
    return replace(table, class_of=np.array([classes.get(label, -1) for label in table.labels], np.int64))


def _list_soft(file: LabelledFile) -> list[str]:
    """Return the labels of the distributions of ``file``."""
    return [] if file.soft_labels is None else file.soft_labels.labels


def make_label_encoder(train: LabelledFile, config: DataConfig, known: Sequence[str] = ()) -> LabelEncoder:
    """Return the encoder for the labels of ``train`` and those ``known`` to an initial model.

    Raises:
        DataError: they cannot be learned.
    """
    if config.target == "score":
        return ScoreEncoder(train, known)
    return MultiLabelEncoder(train, config, known) if config.multi_label else SingleLabelEncoder(train, known)


def describe_unknown(valid: LabelledFile, known: set[str], config: DataConfig) -> str:
    """Return one line on labels that only the validation set has; scores have none.

    Raises:
        DataError: the training set has none of its labels.
    """
    if config.target == "score":
        return ""
    split = split_labels if config.multi_label else lambda label: [label]
    unknown = [[label for label in split(joined) if label not in known] for joined in valid.labels]
    rows = [row for row, labels in enumerate(unknown) if labels]
    if not rows:
        return ""
    line, row = min((valid.first_lines[row], row) for row in rows)
    label = unknown[row][0]
    if all(label not in known for joined in valid.labels for label in split(joined)):
        raise DataError(
            valid.path, line, f"the training set has none of this file's labels, such as '{shorten(label)}'"
        )
    count = pluralize(sum(valid.counts[row] for row in rows), "text with such labels is", "texts with such labels are")
    counted = f"{count} scored as {'missing them' if config.multi_label else 'wrong'}"
    return f"{name_place(valid.path, line)}: label '{shorten(label)}' is not in the training set; {counted}"
