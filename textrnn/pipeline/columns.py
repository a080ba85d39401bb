"""Predictions as columns of Parquet and Arrow files, beside the columns of the input."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from textrnn.data.arrow.arrow_files import read_schema
from textrnn.data.arrow.arrow_writer import open_arrow
from textrnn.errors import ROW_SUFFIXES, DataError
from textrnn.pipeline.records import Record
from textrnn.pipeline.writers import OutputChunk, Worker, join_lines

_PREFIX = "predicted_"
_TEXT = "text"
_TWICE = "its rows are read twice; save it to a file, and name that"


class ColumnWorker(Worker, Protocol):
    """Turns records into output, or texts into the values of columns."""

    def list_types(self) -> dict[str, Any]:
        """Return the names of the columns, and their types as pyarrow.DataType."""

    def make_columns(self, texts: Sequence[str], threads: int) -> dict[str, Any]:
        """Return the values of each column for each of ``texts``."""


@dataclass(frozen=True)
class ColumnWriter:
    """Passes the columns of records on to :func:`open_columns`, as bytes."""

    worker: ColumnWorker

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return the columns of ``records``; a header has none."""
        texts = [record.text for record in records if record.text is not None]
        columns = self.worker.make_columns(texts, threads) if texts else {}
        return OutputChunk(pack_columns(records, columns), len(texts), len(texts))


def choose_format(path: Path | None) -> Callable[[Sequence[Record]], bytes]:
    """Return the function that turns records into the output ``path``: lines, or rows of Parquet and Arrow."""
    has_rows = path is not None and path.suffix.lower() in ROW_SUFFIXES
    return partial(pack_columns, columns={}) if has_rows else join_lines


def pack_columns(records: Sequence[Record], columns: Mapping[str, Any]) -> bytes:
    """Return the ``columns`` of ``records`` for :func:`open_columns`."""
    found = [record for record in records if record.text is not None]
    rows = [record.row for record in found if record.row >= 0]
    return pickle.dumps((rows, None if rows else [record.text for record in found], columns)) if found else b""


@contextmanager
def open_columns(
    path: Path, *, types: Mapping[str, Any], sources: Sequence[str] | None, all_rows: bool
) -> Iterator[Callable[[bytes], object]]:
    """Open ``path`` for atomic writing; yield a function that takes the results of :func:`pack_columns`.

    The rows of ``sources`` are copied, with new columns of these ``types``. Without sources the texts are written.

    Raises:
        DataError: see :func:`open_arrow`; or the input is an Arrow stream in a pipe.
    """
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    own = types if sources is not None else {_TEXT: pa.string(), **types}
    names = read_schema(sources[0]).names if sources else ()
    prefix = find_prefix(types, names)
    renamed = {prefix + name: kind for name, kind in own.items()}
    with open_arrow(path, types=renamed, sources=sources, all_rows=all_rows) as write:

        def take(data: bytes) -> None:
            rows, texts, columns = pickle.loads(data)
            if rows and sources is None:
                raise DataError(path, None, f"the input is standard input or a pipe, and {_TWICE}")
            values = {prefix + name: values for name, values in columns.items()}
            write(np.array(rows, np.int64) if sources else None, {**values, _TEXT: texts})

        yield take


def find_prefix(own: Collection[str], names: Collection[str]) -> str:
    """Return a prefix that makes the names ``own`` distinct from the ``names`` of a record."""
    prefix = ""
    while not {prefix + name for name in own}.isdisjoint(names):
        prefix += _PREFIX
    return prefix
