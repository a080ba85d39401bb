"""Windows of long texts: the parts that the network reads, each by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig
from textrnn.data.batch import Ids, Lengths, PackedBatch, Rows, SliceableTexts, Texts, make_offsets

WHOLE = 1 << 15
"""The ids through which the recurrence runs with ``data.long_texts: whole``; longer texts have several windows."""
WINDOWS = 3
"""The most windows of a text with ``data.long_texts: windows``."""

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Windows:
    """How texts are read: in windows of up to ``size`` ids, at most ``most`` of them (None: any number).

    A text of L ids has ceil(L / size) windows, or ``most``. They are evenly spaced: the first one begins with the text,
    the last one ends with it. Those of a text that they cover may overlap.
    """

    size: int
    most: int | None

    @classmethod
    def of(cls, config: DataConfig) -> Windows:
        """Return the windows of ``data.long_texts`` and ``data.max_length``."""
        if config.long_texts == "whole":
            return WHOLE_TEXTS
        return cls(config.max_length, WINDOWS if config.long_texts == "windows" else 1)

    @property
    def limit(self) -> int | None:
        """The most ids of a text that are read; None: all."""
        return None if self.most is None else self.size * self.most

    def count_read(self, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return how many ids (B,) are read of texts with ``lengths`` (B,)."""
        return lengths if self.limit is None else np.minimum(lengths, self.limit)

    def keep(self, ids: Ids, lengths: npt.NDArray[np.int64]) -> tuple[Ids, npt.NDArray[np.int64]]:
        """Return the ids that are read of texts end to end (N,), and their lengths (B,).

        The windows of the result are those of the texts.
        """
        kept = np.ones(len(ids), np.bool_)
        read, ends = self.count_read(lengths), np.cumsum(lengths)
        for row in np.flatnonzero(lengths > read).tolist():
            text = kept[ends[row] - lengths[row] : ends[row]]
            text[:] = False
            for start in self._find_starts(lengths[row : row + 1])[1].tolist():
                text[start : start + self.size] = True
        return ids[kept], read

    def split(self, texts: SliceableTexts, rows: Rows | None = None) -> WindowedTexts:
        """Return the windows of ``texts``, or of its ``rows`` alone."""
        lengths = texts.lengths if rows is None else texts.lengths[rows]
        counts, starts = self._find_starts(lengths)
        places = np.arange(len(lengths)) if rows is None else rows
        return WindowedTexts(texts, np.repeat(places, counts), starts, counts=counts, size=self.size)

    def draw(self, texts: SliceableTexts, rng: np.random.Generator | None = None) -> Texts:
        """Return ``texts`` with one window instead of each longer text, drawn from ``rng`` (None: the first)."""
        lengths = texts.lengths
        if lengths.max(initial=0) <= self.size:
            return texts
        counts, starts = self._find_starts(lengths)
        chosen = make_offsets(counts)[:-1] + (0 if rng is None else rng.integers(counts))
        return WindowedTexts(texts, np.arange(len(texts)), starts[chosen], counts=np.ones_like(counts), size=self.size)

    def _find_starts(self, lengths: npt.NDArray[np.int64] | Lengths) -> tuple[Rows, Rows]:
        """Return the number of windows (B,) of texts with ``lengths`` (B,), and where each window (W,) starts."""
        long = np.asarray(lengths, np.int64)
        counts = np.clip(-(-long // self.size), 1, self.most)
        number = np.arange(counts.sum()) - np.repeat(make_offsets(counts)[:-1], counts)
        room = np.maximum(long - self.size, 0) * (counts > 1)
        return counts, number * np.repeat(room, counts) // np.repeat(np.maximum(counts - 1, 1), counts)


WHOLE_TEXTS = Windows(WHOLE, None)
"""The windows of ``data.long_texts: whole``."""


class WindowedTexts:
    """Windows of texts as texts by themselves: W windows of B texts, those of a text one after another.

    Window ``w`` has up to ``size`` ids of the text ``rows[w]`` (W,), from ``starts[w]`` (W,) on; ``counts`` (B,) are
    the windows of each text.
    """

    def __init__(self, texts: SliceableTexts, rows: Rows, starts: Rows, *, counts: Rows, size: int) -> None:
        self._texts, self._rows, self._starts, self._counts = texts, rows, starts, counts
        self.lengths: Lengths = np.minimum(texts.lengths[rows], size).astype(np.int32)

    def __len__(self) -> int:
        return len(self._rows)

    def select(self, rows: Rows) -> PackedBatch:
        """Return the windows with the indices ``rows``, in that order."""
        return self._texts.select(self._rows[rows], spans=(self._starts[rows], self.lengths[rows]))

    def average(self, values: Values) -> Values:
        """Return the mean (B, C) of the ``values`` (W, C) of each text's windows."""
        if len(values) == len(self._counts):
            return values
        sums: Values = np.add.reduceat(values, make_offsets(self._counts)[:-1])
        return (sums / self._counts[:, None]).astype(np.float32)
