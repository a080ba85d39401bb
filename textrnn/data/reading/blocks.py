"""Labelled text in blocks: chunks of plain tables and fastText's format are split in bulk, all else row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt

from textrnn.data.labels import find_label_fault, join_labels
from textrnn.data.reading.layout import Layout, fold
from textrnn.data.reading.records.selection import Distribution
from textrnn.data.reading.rows import Row, RowReader
from textrnn.errors import shorten

_COMPARED_TEXTS = 10_000
_MIN_TEXTS = 10  # fewer say nothing about the columns
_MAX_LABEL_SHARE = 0.9  # of the number of texts


@dataclass(frozen=True)
class Block:
    """Consecutive examples: their labels (several joined by tabs) and texts in UTF-8, and their first lines.

    ``groups`` are the values of ``data.group``, ``weights`` those of ``data.weight``; there are none without these.
    ``distributions`` are the probabilities of labels of rows that give them; there are none if no row may do so.
    """

    labels: Sequence[bytes]
    texts: list[bytes]
    line_numbers: Sequence[int]
    groups: Sequence[str] = ()
    weights: Sequence[float] = ()
    distributions: Sequence[Distribution | None] = ()


class LabelTable:
    """The labels of a file in order of appearance, with their counts and first lines."""

    def __init__(self) -> None:
        self._index: dict[bytes, int] = {}
        self._counts: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._texts: set[bytes] = set()  # distinct ones, up to a limit
        self._label_bytes = self._text_bytes = 0
        self.first_lines: list[int] = []

    def classify(self, block: Block) -> npt.NDArray[np.int32]:
        """Return the index of each label of ``block``, and count the labels."""
        classes = self._look_up(block.labels)
        if classes.size and classes.min() < 0:
            for label, number in zip(block.labels, block.line_numbers, strict=True):
                if label not in self._index:
                    self._index[label] = len(self._index)
                    self.first_lines.append(number)
            classes = self._look_up(block.labels)
        counts = np.bincount(classes, minlength=len(self._index))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        self._label_bytes += sum(map(len, block.labels))
        self._text_bytes += sum(map(len, block.texts))
        if len(self._texts) < _COMPARED_TEXTS:
            self._texts.update(block.texts)
        return classes

    def find_swap(self) -> str | None:
        """Return why the labels look like texts, or None."""
        texts, labels = int(self._counts.sum()), len(self._index)
        is_longer = self._label_bytes > self._text_bytes > 0 and labels > len(self._texts)
        if texts < _MIN_TEXTS or (labels < _MAX_LABEL_SHARE * texts and not is_longer):
            return None
        return (
            f"label and text look swapped, or the label is another column: {texts:,} texts have {labels:,} labels; "
            "choose with --set data.label=NAME --set data.text=NAME, or numbers (2 and 1) if there is no header"
        )

    def find_header(self, path: str, layout: Layout) -> list[str]:
        """Return a line for the user if the label of the first line of a table occurs only there."""
        is_record = layout.kind == "table" and layout.header is None
        if not is_record or self._counts[0] > 1 or int(self._counts.sum()) < _MIN_TEXTS:
            return []
        place = f"{path}:{self.first_lines[0]}"
        return [
            f"{place}: label '{shorten(self.labels[0])}' occurs only here; if this is a header, name its columns with "
            "--set data.label=NAME --set data.text=NAME"
        ]

    def _look_up(self, labels: Sequence[bytes]) -> npt.NDArray[np.int32]:
        return np.fromiter(map(self._index.get, labels, repeat(-1)), np.int32, len(labels))

    @property
    def labels(self) -> list[str]:
        """The labels (several of one text are joined)."""
        return [label.decode("utf-8") for label in self._index]

    @property
    def counts(self) -> list[int]:
        """The number of texts with each label."""
        return [int(count) for count in self._counts]


def make_blocks(reader: RowReader) -> Iterator[Block]:
    """Yield the examples of ``reader``, which reads labels, in blocks."""
    layout, config = reader.layout, reader.config
    needs = (
        *(config.multi_label, config.target == "score", layout.group, layout.weight),
        *(len(layout.text) > 1, len(layout.label) > 1),
    )
    is_plain = layout.kind != "json" and not any(needs)
    return reader.read(_make_block, in_bulk=_BulkMaker(layout).make if is_plain else None)


class _BulkMaker:
    """Makes blocks of plain fields; a label is checked once."""

    def __init__(self, layout: Layout) -> None:
        self._label, self._text = layout.label[0], layout.text[0]
        self._header = set(map(fold, layout.header or ()))
        self._valid: set[bytes] = set()

    def make(self, number: int, lines: Sequence[bytes], fields: Sequence[Sequence[bytes]]) -> Block | None:
        """Return a block of ``lines``; None if one has a bad label, or may be the header again."""
        labels, texts = ([record[at] for record in fields] for at in (self._label, self._text))
        new = set(labels) - self._valid
        names = [label.decode("utf-8") for label in new]
        if not self._header.isdisjoint(map(fold, names)) or any(find_label_fault([name]) for name in names):
            return None
        self._valid |= new
        return Block(labels, texts, range(number, number + len(lines)))


def _make_block(rows: Sequence[Row]) -> Block:
    return Block(
        [join_labels(row.labels).encode("utf-8") for row in rows],
        [row.text.encode("utf-8") for row in rows],
        [row.number for row in rows],
        [row.group for row in rows],
        [row.weight for row in rows],
        [row.distribution for row in rows],
    )
