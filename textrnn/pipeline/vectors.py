"""Vectors of texts: as lines of numbers, as a .npy file, and the nearest neighbors among them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textrnn.files import OpenFile, atomic_write
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.pipeline.records import Record
from textrnn.pipeline.writers import OutputChunk

_BLANKS = str.maketrans("\t\r\n", "   ")
_EMBEDDING = "embedding"
_HEADER_BYTES = 128  # of a .npy file with any number of rows
_SIMILARITIES = 1 << 24  # that are held at once


@dataclass(frozen=True)
class VectorWriter:
    """Writes the vector of each text: numbers in a line, separated by spaces, or ``raw`` float32."""

    engine: Engine
    raw: bool = False

    def list_types(self) -> dict[str, Any]:
        """Return ``embedding`` with the type of a column of vectors."""
        import pyarrow as pa  # noqa: PLC0415 - other output does not need it

        return {_EMBEDDING: pa.list_(pa.float32(), self.engine.width)}

    def make_columns(self, texts: Sequence[str], threads: int) -> dict[str, Array]:
        """Return the vectors of ``texts``."""
        return {_EMBEDDING: self.engine.embed(texts, threads=threads)}

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return the vectors of ``records``; a header has none."""
        texts = [record.text for record in records if record.text is not None]
        if not texts:
            return OutputChunk(b"", 0, 0)
        vectors = self.engine.embed(texts, threads=threads)
        data = vectors.astype("<f4").tobytes() if self.raw else "".join(map(_format_line, vectors)).encode()
        return OutputChunk(data, len(texts), len(texts))


@contextmanager
def open_npy(path: Path, width: int) -> Iterator[Callable[[bytes], object]]:
    """Open ``path`` for atomic writing of a .npy file; yield a function that takes rows of ``width`` float32."""
    with atomic_write(path) as file:
        file.write(bytes(_HEADER_BYTES))
        yield file.write
        rows = (file.tell() - _HEADER_BYTES) // (4 * width)
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (rows, width)})
        assert header.tell() == _HEADER_BYTES
        file.seek(0)
        file.write(header.getvalue())


@dataclass(frozen=True)
class VectorCollector:
    """Passes the vectors of each text on, with the texts, to :func:`open_neighbors`."""

    engine: Engine

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return the texts of ``records`` and their vectors, as bytes."""
        texts = [record.text for record in records if record.text is not None]
        data = pickle.dumps((texts, self.engine.embed(texts, threads=threads))) if texts else b""
        return OutputChunk(data, len(texts), len(texts))


@contextmanager
def open_neighbors(path: Path, *, count: int, open_file: OpenFile) -> Iterator[Callable[[bytes], object]]:
    """Yield a function that takes texts with vectors; then write the ``count`` neighbors of each text to ``path``."""
    texts: list[str] = []
    vectors: list[Array] = []

    def take(data: bytes) -> None:
        more, rows = pickle.loads(data)
        texts.extend(more)
        vectors.append(rows)

    yield take
    with open_file(path) as write:
        for number, found in enumerate(find_neighbors(np.concatenate(vectors), count) if texts else (), start=1):
            lines = [f"{number}\t{row + 1}\t{cosine:.6f}\t{texts[row].translate(_BLANKS)}\n" for row, cosine in found]
            write("".join(lines).encode())


def find_neighbors(vectors: Array, count: int) -> Iterator[list[tuple[int, float]]]:
    """Yield for each of the ``vectors`` (B, W) the rows of the ``count`` others with the highest cosine, and that."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    step, count = max(1, _SIMILARITIES // max(1, len(unit))), min(count, len(unit) - 1)
    for start in range(0, len(unit), step):
        similarities = unit[start : start + step] @ unit.T
        rows = np.arange(len(similarities))
        similarities[rows, start + rows] = -np.inf
        for own in similarities:
            found = np.argpartition(own, len(own) - count)[len(own) - count :] if count else rows[:0]
            found = found[np.lexsort((found, -own[found]))]
            yield list(zip(found.tolist(), own[found].tolist(), strict=True))


def _format_line(vector: Array) -> str:
    return " ".join(f"{number:.6g}" for number in vector.tolist()) + "\n"
