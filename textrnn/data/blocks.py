"""Labelled text in blocks: chunks of the file are split in bulk, and line by line only around faults.

CSV, JSON Lines and multi-label data are parsed line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig, DataFormat
from textrnn.data.formats import (
    FASTTEXT_PREFIX,
    NO_TEXT,
    Example,
    OnFault,
    find_format,
    find_label_fault,
    parse_lines,
    read_head,
    refuse,
)
from textrnn.data.io import split_lines
from textrnn.errors import DataError

_PREFIX = FASTTEXT_PREFIX.encode()
_BLOCK_EXAMPLES = 4096  # at most, when examples are parsed one by one
_BLOCK_BYTES = 1 << 20  # of their texts, at most

Parts = tuple[Sequence[bytes], Sequence[bytes]]  # labels and texts
Split = Callable[[bytes, "list[bytes]"], "Parts | None"]


@dataclass(frozen=True)
class Block:
    """Consecutive examples: their labels (several joined by tabs) and texts in UTF-8, and their first lines."""

    labels: Sequence[bytes]
    texts: list[bytes]
    line_numbers: Sequence[int]


class LabelTable:
    """The labels of a file in order of appearance, with their counts and first lines."""

    def __init__(self) -> None:
        self._index: dict[bytes, int] = {}
        self._counts: npt.NDArray[np.int64] = np.zeros(0, np.int64)
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
        return classes

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


def parse_blocks(
    path: str, chunks: Iterable[bytes], config: DataConfig, *, on_fault: OnFault = refuse
) -> Iterator[Block]:
    """Yield the examples of :func:`textrnn.data.formats.read_examples` in blocks, faster; ``chunks`` end at line ends.

    Raises:
        DataError: at the first fault, with its line, unless ``on_fault`` returns; there is no example.
    """
    chunks = iter(chunks)
    start: list[bytes] = []  # chunks up to the first line that is not blank
    for chunk in chunks:
        start.append(chunk)
        if chunk.strip():
            break
    kind = find_format(path, read_head(chain.from_iterable(map(split_lines, start))), config)
    examples = 0
    for block in _parse(path, chain(start, chunks), config, kind=kind, on_fault=on_fault):
        examples += len(block.texts)
        yield block
    if not examples:
        raise DataError(path, None, NO_TEXT)


def _parse(
    path: str, chunks: Iterable[bytes], config: DataConfig, *, kind: DataFormat, on_fault: OnFault
) -> Iterator[Block]:
    split = None if config.multi_label else {"tsv": _split_tsv, "fasttext": _split_fasttext}.get(kind)
    if split is None:
        lines = chain.from_iterable(map(split_lines, chunks))
        yield from _gather(parse_lines(path, lines, config, kind=kind, on_fault=on_fault))
        return
    valid_labels: set[bytes] = set()
    number = 1
    for chunk in chunks:
        lines_here = split_lines(chunk)
        parts = _split_in_bulk(chunk, lines_here, split, seen=valid_labels) if number > 1 else None
        if parts is not None:
            yield Block(parts[0], list(parts[1]), range(number, number + len(lines_here)))
        else:  # the first chunk, a blank line, or a fault
            examples = parse_lines(path, lines_here, config, kind=kind, start=number, on_fault=on_fault)
            yield from _gather(examples)
        number += len(lines_here)


def _split_in_bulk(chunk: bytes, lines: list[bytes], split: Split, *, seen: set[bytes]) -> Parts | None:
    """Return labels and texts of ``lines``; None if they must be parsed one by one."""
    try:
        chunk.decode("utf-8")
    except UnicodeDecodeError:
        return None
    parts = split(chunk, lines)
    if parts is None:
        return None
    new = set(parts[0]) - seen
    if any(find_label_fault([label.decode("utf-8")]) for label in new):
        return None
    seen |= new
    return parts


def _split_tsv(chunk: bytes, lines: list[bytes]) -> Parts | None:
    del chunk
    labels, tabs, texts = zip(*[line.partition(b"\t") for line in lines], strict=True)
    return (labels, texts) if all(tabs) else None


def _split_fasttext(chunk: bytes, lines: list[bytes]) -> Parts | None:
    if chunk.count(_PREFIX) != len(lines):  # a line without a label, or with several
        return None
    labels, _, texts = zip(*[line.partition(b" ") for line in lines], strict=True)
    if not all(label.startswith(_PREFIX) for label in labels):
        return None
    return [label[len(_PREFIX) :] for label in labels], texts


def _gather(examples: Iterable[Example]) -> Iterator[Block]:
    labels: list[bytes] = []
    texts: list[bytes] = []
    numbers: list[int] = []
    size = 0
    for example in examples:
        text = example.text.encode("utf-8")
        labels.append(example.label.encode("utf-8"))
        texts.append(text)
        numbers.append(example.line_number)
        size += len(text)
        if len(texts) == _BLOCK_EXAMPLES or size >= _BLOCK_BYTES:
            yield Block(labels, texts, numbers)
            labels, texts, numbers, size = [], [], [], 0
    if texts:
        yield Block(labels, texts, numbers)
