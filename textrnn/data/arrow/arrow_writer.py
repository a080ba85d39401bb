"""New Parquet and Arrow files: copies of the rows of others with more columns, or columns alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from textrnn.data.arrow.arrow_files import ArrowSource, check_names, read_schema
from textrnn.errors import DataError, pluralize, shorten
from textrnn.extras import import_extra
from textrnn.files import atomic_write

Rows = npt.NDArray[np.int64]

_GROUP_BYTES, _GROUP_ROWS = 1 << 26, 1 << 17  # of a row group


class ArrowWriter:
    """Writes rows to an open ``file``, Parquet or Arrow as the extension of ``path`` says.

    ``types`` are those of the new columns, as pyarrow.DataType. ``sources`` are the files whose rows are copied, in
    order; without them there are only the new columns.

    Raises:
        DataError: the sources differ in their columns, or the format cannot store one of these.
    """

    def __init__(
        self, path: Path, file: BinaryIO, *, types: Mapping[str, Any], sources: Sequence[str] | None = None
    ) -> None:
        self._path, self._sources, self._types = path, sources, types
        self._schema = _make_schema(path, types, sources)
        self._writer = _open_writer(path, file, self._schema, source=sources[0] if sources else str(path))
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
        """Close the sources, and the writer of pyarrow, which would write to the closed file later."""
        self._batch, self._pending = None, []
        self._batches.close()
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
            try:
                self._writer.write_table(table.combine_chunks())
            except pa.ArrowException as error:
                reason = str(error).partition("\n")[0].rstrip(".")
                other = ".arrow" if _is_parquet(self._path) else ".parquet"
                raise DataError(self._path, None, f"cannot store the rows ({reason}); write {other}") from None


@contextmanager
def open_arrow(
    path: Path, *, types: Mapping[str, Any], sources: Sequence[str] | None = None, all_rows: bool = False
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


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _make_array(values: Any, kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(np.ascontiguousarray(values, np.float32).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, kind.list_size)
    return pa.array(values, kind)


def _make_schema(path: Path, types: Mapping[str, Any], sources: Sequence[str] | None) -> Any:
    """Return the schema of the output: that of the first source, with its metadata, and the new columns."""
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    schema = pa.schema([]) if sources is None else read_schema(sources[0])
    check_names(schema, path=sources[0] if sources else str(path))
    if not _is_parquet(path):  # an Arrow file has one dictionary for each column
        for at, field in enumerate(schema):
            if pa.types.is_dictionary(field.type):
                schema = schema.set(at, field.with_type(field.type.value_type))
    for name, kind in types.items():
        schema = schema.append(pa.field(name, kind))
    return schema


def _open_writer(path: Path, file: BinaryIO, schema: Any, *, source: str) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    if not _is_parquet(path):
        return pa.ipc.new_file(file, schema)
    from pyarrow import parquet  # noqa: PLC0415

    for field in schema:
        try:
            parquet.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])).close()
        except pa.ArrowException:
            what = f"column '{shorten(field.name)}' has a type that Parquet cannot store ({shorten(str(field.type))})"
            raise DataError(source, None, f"{what}; write .arrow") from None
    return parquet.ParquetWriter(file, schema)


def _read_all(paths: Sequence[str]) -> Generator[Any]:
    """Yield the batches of all files, with the columns of the first one."""
    first, start = None, ""
    for path in paths:
        with ArrowSource(path) as source:
            first, start = first or source.schema, start or source.part
            for batch in source.read():
                if sorted(batch.schema.names) != sorted(first.names):
                    raise DataError(source.part, None, f"has other columns than {start}; process the files one by one")
                if batch.num_rows:
                    own = batch.select(first.names)
                    yield own if own.schema.types == first.types else _cast(own, first, source.part)


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
