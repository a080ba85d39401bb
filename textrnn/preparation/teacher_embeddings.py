"""Sentence embeddings of a teacher: a NumPy array with a row for each line of raw text."""

from __future__ import annotations

import tokenize
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Rows
from textrnn.data.reading.io import check_readable
from textrnn.errors import DataError

_CHUNK_ROWS = 1 << 16  # rows that are checked at once: bounds the memory


@dataclass(frozen=True)
class TeacherEmbeddings:
    """The rows of ``values`` (R, E) floats, memory-mapped, of the lines of a text; ``path`` is named in messages."""

    values: npt.NDArray[np.floating[Any]]
    path: str

    @classmethod
    def open(cls, path: str) -> TeacherEmbeddings:
        """Map the array of the file ``path`` (.npy).

        Raises:
            DataError: it is no array of numpy, or has another shape or type.
        """
        check_readable(path)
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile):
            raise DataError(path, None, "not a NumPy array, or cut short; write it with numpy.save") from None
        if not isinstance(values, np.ndarray):  # an archive of several
            raise DataError(path, None, "an archive of arrays; write a single array with numpy.save")
        if values.ndim != 2 or not values.shape[1]:
            raise DataError(path, None, f"has shape {values.shape}; it needs a row for each line, (lines, numbers)")
        if values.dtype.kind != "f":
            raise DataError(path, None, f"holds {values.dtype}; convert it to float16 or float32")
        return cls(values, path)

    @property
    def width(self) -> int:
        """The numbers of an embedding, E."""
        return int(self.values.shape[1])

    def check_count(self, text: str, *, lines: int) -> None:
        """Raise DataError unless there is a row for each of the ``lines`` of the file ``text``."""
        if len(self.values) != lines:
            reason = f"has {len(self.values):,} rows, but {text} has {lines:,} lines; embed each line, also blank ones"
            raise DataError(self.path, None, reason)

    def check_values(self, text: str, *, rows: Rows) -> None:
        """Raise DataError if one of ``rows``, of lines of the file ``text``, is all zeros or not finite."""
        for start in range(0, len(rows), _CHUNK_ROWS):
            chosen = rows[start : start + _CHUNK_ROWS]
            norms = np.linalg.norm(self.values[chosen].astype(np.float32), axis=1)
            usable = np.isfinite(norms) & (norms > 0)
            if not usable.all():
                row = int(np.argmin(usable))
                fault = "all zeros" if norms[row] == 0 else "not finite"
                line = int(chosen[row]) + 1
                raise DataError(self.path, None, f"row {line} is {fault}; embed line {line} of {text} again")

    def select(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return the embeddings (B, E) float32 of the lines ``rows`` (B,), with norm 1."""
        chosen = self.values[rows].astype(np.float32)
        unit: npt.NDArray[np.float32] = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
        return unit
