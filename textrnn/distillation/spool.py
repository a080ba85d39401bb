"""Labelled raw text on disk, until it is known how its probabilities are used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Rows, make_offsets
from textrnn.data.cache import Draft

Probabilities = npt.NDArray[np.float32]

KEPT = 20
"""The most probable labels of a text that are kept."""
_MAX_REST = 0.1  # of the probability: so much of the other labels the kept ones share

_BLOCK_TEXTS = 1 << 12
_BLOCK_VALUES = 1 << 22  # of the probabilities of a block, 16 MB


class Spool(AbstractContextManager["Spool"]):
    """Texts with the probabilities of C labels, of which the ``KEPT`` highest are stored, in a draft of the cache.

    If the others have a tenth of the probability or more, they come back with equal shares of it; less is left out.
    """

    def __init__(self, draft: Draft, C: int) -> None:
        self._draft, self._labels, self._kept = draft, C, min(C, KEPT)
        self._sizes: list[npt.NDArray[np.int32]] = []

    def __exit__(self, *_: object) -> None:
        self._draft.close()

    def __len__(self) -> int:
        return sum(map(len, self._sizes))

    def write(self, texts: Sequence[str], probabilities: Probabilities) -> None:
        """Append texts, which have no line ends, and their ``probabilities`` (B, C)."""
        encoded = [text.encode("utf-8", "replace") for text in texts]
        self._sizes.append(np.fromiter(map(len, encoded), np.int32, len(encoded)))
        highest = np.argpartition(-probabilities, self._kept - 1, axis=1)[:, : self._kept]
        self._draft.write("texts", b"".join(encoded))
        self._draft.write("labels", np.ascontiguousarray(highest, np.int32).data)
        self._draft.write("shares", np.ascontiguousarray(np.take_along_axis(probabilities, highest, 1), "<f4").data)

    def select(self, rows: Rows) -> tuple[list[str], Probabilities]:
        """Return the texts ``rows`` (B,), and their probabilities (B, C), which sum to 1."""
        self._draft.flush()
        ends = make_offsets(np.concatenate(self._sizes).astype(np.int64))
        content = np.memmap(self._draft.folder / "texts", np.uint8, "r")
        texts = [content[ends[row] : ends[row + 1]].tobytes().decode() for row in rows.tolist()]
        return texts, self._read_probabilities(rows)

    def blocks(self) -> Iterator[tuple[list[str], Probabilities]]:
        """Yield all texts and their probabilities in order, in parts."""
        self._draft.flush()
        sizes = np.concatenate(self._sizes)
        step = max(1, min(_BLOCK_TEXTS, _BLOCK_VALUES // self._labels))
        with (self._draft.folder / "texts").open("rb") as file:
            for start in range(0, len(sizes), step):
                part = sizes[start : start + step]
                texts = [file.read(size).decode() for size in part.tolist()]
                yield texts, self._read_probabilities(np.arange(start, start + len(part)))

    def _read_probabilities(self, rows: Rows) -> Probabilities:
        labels, shares = (
            np.memmap(self._draft.folder / name, dtype, "r").reshape(-1, self._kept)[rows]
            for name, dtype in (("labels", "<i4"), ("shares", "<f4"))
        )
        rest = (1 - shares.sum(axis=1, keepdims=True)) / max(1, self._labels - self._kept)
        rest[rest * (self._labels - self._kept) < _MAX_REST] = 0  # a long row of shares would say little
        found = np.repeat(rest.astype(np.float32), self._labels, axis=1)
        np.put_along_axis(found, labels, np.array(shares), axis=1)
        probabilities: Probabilities = found / found.sum(axis=1, keepdims=True)
        return probabilities
