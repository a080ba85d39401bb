"""Soft labels on disk: the probabilities of labels that rows of a file give instead of a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import SoftLabels
from textrnn.data.cache import Draft, Entry

Integers = npt.NDArray[np.int64]

_FILES = {"soft_rows": "<i8", "soft_lengths": "<i4", "soft_labels": "<i4", "soft_shares": "<f4"}


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
    which count the file's ``labels``, and ``shares`` (K,) float32.
    """

    labels: list[str]
    rows: Integers
    offsets: Integers
    numbers: npt.NDArray[np.int32]
    shares: npt.NDArray[np.float32]

    @classmethod
    def read(cls, entry: Entry, labels: list[str]) -> SoftLabelTable | None:
        """Return the distributions that :class:`SoftLabelWriter` wrote, or None if it wrote none."""
        if not (entry.folder / "soft_rows").exists():
            return None
        rows, lengths, numbers, shares = (np.memmap(entry.folder / name, dtype, "r") for name, dtype in _FILES.items())
        return cls(labels, rows, np.append(0, np.cumsum(lengths, dtype=np.int64)), numbers, shares)

    def select(self, rows: Integers, class_of: Integers) -> SoftLabels | None:
        """Return the distributions of the file's ``rows`` (B,), in that order, or None without any.

        ``class_of`` (labels of the file,) gives the class of each label; the others share what -1 would have.
        """
        places = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        texts = np.flatnonzero(self.rows[places] == rows)
        if not len(texts):
            return None
        starts, ends = self.offsets[places[texts]], self.offsets[places[texts] + 1]
        lengths = ends - starts
        index = np.arange(lengths.sum()) + np.repeat(starts - np.append(0, np.cumsum(lengths)[:-1]), lengths)
        found = SoftLabels(np.repeat(texts, lengths), class_of[self.numbers[index]], np.array(self.shares[index]))
        known = found.classes >= 0
        return found if known.all() else _leave_out(found, known)


def _leave_out(found: SoftLabels, known: npt.NDArray[np.bool_]) -> SoftLabels:
    """Return the ``known`` triples, whose shares sum to what those of each text did."""
    size = int(found.rows.max()) + 1
    before = np.bincount(found.rows, found.shares, size)
    kept = SoftLabels(found.rows[known], found.classes[known], found.shares[known])
    after = np.bincount(kept.rows, kept.shares, size)
    return replace(kept, shares=(kept.shares * (before / after.clip(min=1e-12))[kept.rows]).astype(np.float32))
