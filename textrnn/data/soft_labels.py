"""Soft labels of the rows of a file: the probabilities of labels that rows give instead of a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import SoftLabels, gather_ranges
from textrnn.data.cache import Draft, Entry

Integers = npt.NDArray[np.int64]

_FILES = {"soft_rows": "<i8", "soft_lengths": "<i4", "soft_labels": "<i4", "soft_shares": "<f4"}


class SoftLabelSource(Protocol):
    """The distributions of the rows of a file."""

    def select(self, rows: Integers) -> SoftLabels | None:
        """Return those of ``rows`` (B,), in that order, or None if none of them has one."""


class SoftLabelWriter:
    """Writes the distributions of a file's rows into a cache entry; ``labels`` are in order of appearance."""

    def __init__(self, draft: Draft) -> None:
        self._draft, self._index, self._row = draft, {}, 0  # type: Draft, dict[str, int], int

    def write(self, distributions: Sequence[Mapping[str, float] | None], *, size: int) -> None:
        """Append those of the next ``size`` rows; None: the row has a label."""
        soft = [(row, each) for row, each in enumerate(distributions, start=self._row) if each is not None]
        if soft:
            labels = [self._index.setdefault(label, len(self._index)) for _, each in soft for label in each]
            shares = [share for _, each in soft for share in each.values()]
            columns: list[Any] = [[row for row, _ in soft], [len(each) for _, each in soft], labels, shares]
            for (name, dtype), column in zip(_FILES.items(), columns, strict=True):
                self._draft.write(name, np.array(column, dtype).data)
        self._row += size

    @property
    def labels(self) -> list[str]:
        """The labels of all distributions so far."""
        return list(self._index)


@dataclass(frozen=True, eq=False)
class SoftLabelTable:
    """The distributions of a file's rows, in memory-mapped arrays.

    ``rows`` (S,) int64, rising, have one; that of ``rows[s]`` is ``offsets[s]:offsets[s+1]`` of ``numbers`` (K,) int32,
    which count the file's ``labels``, and ``shares`` (K,) float32. ``class_of`` gives the class of each label; -1 is
    unknown to the model. If ``sums_to_1``, the known labels of a text share what the unknown ones had.
    """

    labels: list[str]
    rows: Integers
    offsets: Integers
    numbers: npt.NDArray[np.int32]
    shares: npt.NDArray[np.float32]
    class_of: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    sums_to_1: bool = True

    @classmethod
    def read(cls, entry: Entry, labels: list[str]) -> SoftLabelTable | None:
        """Return the distributions that :class:`SoftLabelWriter` wrote, or None if it wrote none."""
        if not (entry.folder / "soft_rows").exists():
            return None
        rows, lengths, numbers, shares = (np.memmap(entry.folder / name, dtype, "r") for name, dtype in _FILES.items())
        return cls(labels, rows, np.append(0, np.cumsum(lengths, dtype=np.int64)), numbers, shares)

    def select(self, rows: Integers) -> SoftLabels | None:
        """Return the distributions of the file's ``rows`` (B,), in that order, or None without any."""
        places = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        texts = np.flatnonzero(self.rows[places] == rows)
        if not len(texts):
            return None
        numbers, index = gather_ranges(self.offsets[places[texts]], self.offsets[places[texts] + 1])
        found = SoftLabels(texts[numbers], self.class_of[self.numbers[index]], np.array(self.shares[index]))
        known = found.classes >= 0
        return found if known.all() else _leave_out(found, known, sums_to_1=self.sums_to_1)


def _leave_out(found: SoftLabels, known: npt.NDArray[np.bool_], *, sums_to_1: bool) -> SoftLabels:
    """Return the ``known`` triples; if ``sums_to_1``, rescaled so that each text keeps its total."""
    kept = SoftLabels(found.rows[known], found.classes[known], found.shares[known])
    if not sums_to_1:
        return kept
    size = int(found.rows.max()) + 1
    before = np.bincount(found.rows, found.shares, size)
    after = np.bincount(kept.rows, kept.shares, size)
    return replace(kept, shares=(kept.shares * (before / after.clip(min=1e-12))[kept.rows]).astype(np.float32))
