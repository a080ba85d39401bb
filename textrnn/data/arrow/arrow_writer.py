"""New Parquet and Arrow files: copies of the rows of others with more columns, or columns alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from textrnn.data.arrow.arrow_files import ArrowSource
from textrnn.errors import DataError, pluralize
from textrnn.extras import import_extra
from textrnn.files import atomic_write

Rows = npt.NDArray[np.int64]

_GROUP_BYTES, _GROUP_ROWS = 1 << 26, 1 << 17  # of a row group
_VECTOR = "vector:"


class ArrowWriter:
    """Writes rows to an open ``file``, Parquet or Arrow as the extension of ``path`` says.

    ``types`` are those of the new columns: string, float, strings (a list), floats (a list), or ``vector:W`` for W
    float32. ``sources`` are the files whose rows are copied, in order; without them there are only the new columns.

    Raises:
        DataError: the sources differ in their columns.
    """

    def __init__(
        self, path: Path, file: BinaryIO, *, types: Mapping[str, str], sources: Sequence[str] | None = None
    ) -> None:
        self._path, self._sources = path, sources
        self._types = {name: _make_type(kind) for name, kind in types.items()}
        self._schema = _make_schema(path, self._types, sources)
        self._writer = _open_writer(path, file, self._schema)
        self._batches = _read_all(sources or ())
        self._batch, self._start = None, 0  # type: tuple[Any, int]  # a batch of the sources, and its first row
        self._pending: list[Any] = []
        self._pending_rows = self._pending_bytes = self._written = 0

    def write(self, rows: Rows | None, columns: Mapping[str, Any]) -> None:
        """Copy the ``rows`` of the sources, rising from call to call, with the values of the new columns.

        Without sources, ``rows`` is None.

        Raises:
            DataError: the sources have fewer rows, as they have changed.
        """
        import pyarrow as pa  # noqa: PLC0415 - only these files need it

        arrays = [_make_array(columns[name], kind) for name, kind in self._types.items()]
        if rows is None:
            self._add(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
            return
        at = 0
        while at < len(rows):
            batch = self._find_batch(int(rows[at]))
            end = at + int(np.searchsorted(rows[at:], self._start + batch.num_rows))
            copied = _take(batch.columns, rows[at:end] - self._start, of=batch.num_rows)
            new = [array.slice(at, end - at) for array in arrays]
            self._add(pa.RecordBatch.from_arrays(_decode([*copied, *new], self._schema), schema=self._schema))
            at = end

    def finish(self, *, all_rows: bool) -> None:
        """Write the rest; with ``all_rows``, check that every row of the sources was copied.

        Raises:
            DataError: rows are missing.
        """
        if all_rows and self._sources:
            total = self._start + (0 if self._batch is None else self._batch.num_rows)
            total += sum(batch.num_rows for batch in self._batches)
            if total != self._written:
                count = f"{pluralize(self._written, 'row', 'rows')} instead of {total:,}"
                raise DataError(self._path, None, f"would have {count}: the input changed while it was read; run again")
        self._flush()
        self._writer.close()

    def close(self) -> None:
        """Close the writer of pyarrow, which would write to the closed file later; without effect if it is closed."""
        with suppress(Exception):
            self._writer.close()

    def _find_batch(self, row: int) -> Any:
        """Return the batch with ``row`` (from 0 in all sources)."""
        while self._batch is None or row >= self._start + self._batch.num_rows:
            self._start += 0 if self._batch is None else self._batch.num_rows
            self._batch = next(self._batches, None)
            if self._batch is None:
                raise DataError((self._sources or [""])[-1], None, "changed while it was read; run again")
        return self._batch

    def _add(self, batch: Any) -> None:
        self._written += batch.num_rows
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self._pending_bytes += batch.nbytes
        if self._pending_rows >= _GROUP_ROWS or self._pending_bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - only these files need it

        if self._pending:
            table = pa.Table.from_batches(self._pending)
            self._pending, self._pending_rows, self._pending_bytes = [], 0, 0
            self._writer.write_table(table.combine_chunks())


@contextmanager
def open_arrow(
    path: Path, *, types: Mapping[str, str], sources: Sequence[str] | None = None, all_rows: bool = False
) -> Iterator[Callable[[Rows | None, Mapping[str, Any]], None]]:
    """Open ``path`` for atomic writing; yield :meth:`ArrowWriter.write`. ``all_rows`` must be copied, if it is set.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: see :class:`ArrowWriter`.
    """
    import_extra("pyarrow", extra="arrow", feature=str(path))
    with atomic_write(path.resolve() if path.is_symlink() else path) as file:
        writer = ArrowWriter(path, file, types=types, sources=sources)
        try:
            yield writer.write
            writer.finish(all_rows=all_rows)
        finally:
            writer.close()


def _make_type(kind: str) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    if kind.startswith(_VECTOR):
        return pa.list_(pa.float32(), int(kind.removeprefix(_VECTOR)))
    types = {"string": pa.string(), "float": pa.float32(), "double": pa.float64()}
    return types[kind] if kind in types else pa.list_(types[kind.removesuffix("s")])


def _make_array(values: Any, kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(np.ascontiguousarray(values, np.float32).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, kind.list_size)
    return pa.array(values, kind)


def _make_schema(path: Path, types: Mapping[str, Any], sources: Sequence[str] | None) -> Any:
    """Return the schema of the output: that of the first source, with its metadata, and the new columns."""
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    schema = pa.schema([]) if sources is None else ArrowSource(sources[0]).schema
    if path.suffix.lower() != ".parquet":  # an Arrow file has one dictionary for each column
        for at, field in enumerate(schema):
            if pa.types.is_dictionary(field.type):
                schema = schema.set(at, field.with_type(field.type.value_type))
    for name, kind in types.items():
        schema = schema.append(pa.field(name, kind))
    return schema


def _open_writer(path: Path, file: BinaryIO, schema: Any) -> Any:
    if path.suffix.lower() == ".parquet":
        from pyarrow import parquet  # noqa: PLC0415 - only these files need it

        return parquet.ParquetWriter(file, schema)
    from pyarrow import ipc  # noqa: PLC0415

    return ipc.new_file(file, schema)


def _read_all(paths: Sequence[str]) -> Iterator[Any]:
    """Yield the batches of all files, with the columns of the first one."""
    first = None
    for path in paths:
        source = ArrowSource(path)
        first = first or source.schema
        for batch in source.read():
            if batch.schema.names != first.names:
                raise DataError(path, None, f"has other columns than {paths[0]}; process the files one by one")
            if batch.num_rows:
                yield batch if batch.schema.types == first.types else _cast(batch, first, path)


def _cast(batch: Any, schema: Any, path: str) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    try:
        return batch.cast(schema)
    except (pa.ArrowException, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            path, None, f"has other types than the first file ({reason}); process them one by one"
        ) from None


def _take(columns: Sequence[Any], rows: Rows, *, of: int) -> list[Any]:
    """Return the ``rows`` of ``columns``, which have ``of``; a large slice shares their memory."""
    if int(rows[-1] - rows[0]) + 1 == len(rows) and 2 * len(rows) >= of:
        return [column.slice(int(rows[0]), len(rows)) for column in columns]
    return [_take_rows(column, rows) for column in columns]


def _take_rows(column: Any, rows: Rows) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    if column.type in views:  # pyarrow cannot take rows of these
        return column.cast(views[column.type]).take(pa.array(rows)).cast(column.type)
    try:
        return column.take(pa.array(rows))
    except pa.ArrowNotImplementedError:
        return pa.concat_arrays([column.slice(row, 1) for row in rows.tolist()])


def _decode(columns: Sequence[Any], schema: Any) -> list[Any]:
    """Return ``columns`` without dictionaries where ``schema`` has none."""
    return [
        column if column.type == kind else column.dictionary_decode()
        for column, kind in zip(columns, schema.types, strict=True)
    ]
