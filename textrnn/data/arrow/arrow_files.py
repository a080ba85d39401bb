"""Batches of rows of Parquet files, Arrow files and streams, and folders of them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

from textrnn.data.reading.file_kinds import has_control_characters
from textrnn.errors import ROW_SUFFIXES, DataError, name_file, shorten
from textrnn.extras import import_extra

Kind = Literal["Parquet", "Arrow file", "Arrow stream"]

_MAGICS: dict[bytes, Kind] = {
    **{b"PAR1": "Parquet", b"PARE": "Parquet"},
    **{b"ARROW1": "Arrow file", b"\xff\xff\xff\xff": "Arrow stream"},
}
_OLD_FEATHER = b"FEA1"
_HEAD_BYTES = 64
_BATCH_BYTES, _MAX_ROWS = 1 << 20, 1024
_BUFFER_BYTES = 1 << 20  # of one column; without a buffer a whole column of a row group is read
_MAPPED_BYTES = 1 << 26  # pages that are kept in memory after they were read
_SEARCHED_GROUPS = 10  # row groups that tell the size of a row
_SHOWN_NAMES = 50
_SHOWN_TYPE = 60  # characters


def find_kind(path: str, head: bytes) -> Kind | None:
    """Return the kind of a file by its first bytes; None for text.

    Raises:
        DataError: the name says Parquet or Arrow, and the content is something else.
    """
    is_named = Path(path).suffix.lower() in ROW_SUFFIXES
    for magic, kind in _MAGICS.items():
        # a text may start with the letters of a magic number
        if head.startswith(magic) and (is_named or not magic.isalnum() or has_control_characters(head[:_HEAD_BYTES])):
            return kind
    if is_named and head and not head.startswith(_OLD_FEATHER):
        raise DataError(path, None, "is neither a Parquet nor an Arrow file, or is damaged; write it again")
    return None


def find_row_suffix(path: str) -> str | None:
    """Return the extension for the format of a Parquet or Arrow file, or of a folder of them; None for other files."""
    file = Path(find_parts(path)[0])
    if not file.is_file():
        return None
    with file.open("rb") as raw:
        kind = find_kind(str(file), raw.read(_HEAD_BYTES))
    own = ".parquet" if kind == "Parquet" else ".arrow"
    return None if kind is None else ".feather" if own == ".arrow" and file.suffix.lower() == ".feather" else own


def find_parts(path: str) -> list[str]:
    """Return ``path``, or if it is a folder the files in it and its folders, sorted by path.

    Hidden files and folders, and those like _SUCCESS, are left out.

    Raises:
        DataError: the folder holds no Parquet or Arrow files, or other files too, or links to folders.
    """
    if not Path(path).is_dir():
        return [path]
    files = sorted(_walk(path))
    suffixes = {file.suffix.lower(): file.name for file in reversed(files)}
    if not any(suffix in ROW_SUFFIXES for suffix in suffixes):
        raise DataError(path, None, "is a folder without files in .parquet, .arrow or .feather; name a file")
    if len(suffixes) > 1:
        found = " and ".join(suffix or f"'{suffixes[suffix]}'" for suffix in sorted(suffixes)[:3])
        raise DataError(path, None, f"is a folder with files of several formats ({found}); name the files")
    return list(map(str, files))


def _walk(path: str) -> Iterator[Path]:
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        if linked := next((name for name in folders if (Path(folder) / name).is_symlink()), None):
            raise DataError(Path(folder) / linked, None, "is a link to a folder inside a folder; name the folders")
        yield from (Path(folder) / name for name in names if not name.startswith((".", "_")))


def read_schema(path: str) -> Any:
    """Return the pyarrow.Schema of a file, or of the first file in a folder; see :class:`ArrowSource`."""
    with ArrowSource(path) as source:
        return source.schema


class ArrowSource:
    """The rows of a file, of the files in a folder, or of ``raw``, which must be seekable if it is Parquet.

    ``position`` is about the number of bytes read so far, ``part`` the file that is read. ``with`` closes the file.

    Raises:
        DataError: a file is damaged or encrypted.
        ConfigError: pyarrow is not installed.
    """

    def __init__(self, path: str, *, raw: BinaryIO | None = None) -> None:
        self.path, self._raw = path, raw
        import_extra("pyarrow", extra="arrow", feature=name_file(path))
        self._parts = find_parts(path)
        self.position = self._finished = 0
        self.part = self._parts[0]
        self._file: _ParquetFile | _ArrowFile = self._open(self.part)
        self.schema: Any = self._file.schema

    def __enter__(self) -> ArrowSource:
        """Return this source."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file that is open."""
        self._file.close()

    def read(self, names: Sequence[str] | None = None) -> Iterator[Any]:
        """Yield the rows as pyarrow.RecordBatch of about a megabyte, with the columns ``names`` (None: all); once.

        Raises:
            DataError: a file is damaged, or the files of a folder have different columns.
        """
        for number, part in enumerate(self._parts):
            if number:
                self._file.close()
                self.part, self._file = part, self._open(part)
            file = self._file
            if number and (missing := set(names or self.schema.names) - set(file.schema.names)):
                raise DataError(part, None, f"has no column '{shorten(min(missing))}', unlike {self._parts[0]}")
            with _explain(part):
                for batch, share in file.read(names):
                    self.position = self._finished + int(share * file.size)
                    yield batch
            self._finished = self.position = self._finished + file.size

    def _open(self, path: str) -> _ParquetFile | _ArrowFile:
        with _explain(path):
            if self._raw is not None:
                head = self._raw.peek(_HEAD_BYTES)[:_HEAD_BYTES]  # type: ignore[attr-defined]
            else:
                with Path(path).open("rb") as raw:
                    head = raw.read(_HEAD_BYTES)
            kind = find_kind(path, head)
            if kind is None:
                raise DataError(path, None, "is neither a Parquet nor an Arrow file; write it again")
            if self._raw is not None and kind != "Arrow stream" and not self._raw.seekable():
                raise DataError(path, None, f"{kind.split()[0]} files cannot be read from a pipe; name the file")
            return _ParquetFile(path, self._raw) if kind == "Parquet" else _ArrowFile(path, self._raw, kind)


class _ParquetFile:
    """A Parquet file; a batch is decoded at a time, however large its row groups are."""

    def __init__(self, path: str, raw: BinaryIO | None) -> None:
        from pyarrow import parquet  # noqa: PLC0415 - only these files need it

        self._file = parquet.ParquetFile(raw or path, pre_buffer=False, buffer_size=_BUFFER_BYTES)
        self.schema, self.size = self._file.schema_arrow, _find_size(path, raw)

    def close(self) -> None:
        """Close the file, unless it was open before."""
        self._file.close()

    def read(self, names: Sequence[str] | None) -> Iterator[tuple[Any, float]]:
        """Yield batches with the share of the file that was read."""
        done, total = 0, max(1, self._file.metadata.num_rows)
        columns = None if names is None else list(names)
        for batch in self._file.iter_batches(self._choose_rows(names), columns=columns, use_threads=False):
            done += batch.num_rows
            yield batch, done / total

    def _choose_rows(self, names: Sequence[str] | None) -> int:
        """Return the number of rows in a batch."""
        metadata, rows, size = self._file.metadata, 0, 0
        for group in map(metadata.row_group, range(min(metadata.num_row_groups, _SEARCHED_GROUPS))):
            rows += group.num_rows
            for column in map(group.column, range(group.num_columns)):
                if names is None or column.path_in_schema in names or column.path_in_schema.split(".")[0] in names:
                    size += column.total_uncompressed_size
        return max(1, min(_MAX_ROWS, _BATCH_BYTES * max(1, rows) // max(1, size)))


class _ArrowFile:
    """An Arrow file (Feather) or stream. A file is mapped into memory; a stream from a pipe is read batch by batch."""

    def __init__(self, path: str, raw: BinaryIO | None, kind: Kind) -> None:
        import pyarrow as pa  # noqa: PLC0415 - only these files need it

        self._map = None if raw is not None and not raw.seekable() else _map_file(path, raw)
        self._source: Any = pa.PythonFile(raw, "r") if self._map is None else pa.BufferReader(self._map)
        self._open: Any = pa.ipc.open_stream if kind == "Arrow stream" else pa.ipc.open_file
        self._options: Any = pa.ipc.IpcReadOptions
        self._reader: Any = self._open(self._source)
        self.schema, self.size = self._reader.schema, _find_size(path, raw)
        self._is_file = kind == "Arrow file"

    def close(self) -> None:
        """Release the file; batches that are still in use keep its memory."""
        self._reader = self._source = None
        if self._map is not None:
            with suppress(BufferError):
                self._map.close()

    def read(self, names: Sequence[str] | None) -> Iterator[tuple[Any, float]]:
        """Yield batches with the share of the file that was read."""
        reader = self._reader
        if names is not None and self._map is not None:
            places = [self.schema.get_field_index(name) for name in names]
            self._source.seek(0)
            reader = self._open(self._source, options=self._options(included_fields=places))
        count = reader.num_record_batches if self._is_file else 0
        batches = map(reader.get_batch, range(count)) if self._is_file else iter(reader)
        done, unreleased = 0.0, 0
        for number, batch in enumerate(batches, start=1):
            whole = batch if names is None else batch.select(list(names))
            before, done = done, number / count if count else self._source.tell() / self.size if self.size else 0.0
            rows = max(1, min(_MAX_ROWS, _BATCH_BYTES * max(1, whole.num_rows) // max(1, whole.nbytes)))
            for start in range(0, whole.num_rows, rows):
                part = whole.slice(start, rows)
                yield part, before + (done - before) * (start + part.num_rows) / whole.num_rows
                unreleased += part.nbytes
                if unreleased >= _MAPPED_BYTES:
                    unreleased = 0
                    self._release_pages()

    def _release_pages(self) -> None:
        """Let the system drop the pages read so far from the memory of the process; a later access reads them again."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def _map_file(path: str, raw: BinaryIO | None) -> mmap.mmap:
    with Path(path).open("rb") if raw is None else nullcontext(raw) as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _find_size(path: str, raw: BinaryIO | None) -> int:
    """Return the bytes of a file, 0 for a pipe."""
    if raw is None:
        return Path(path).stat().st_size
    return os.fstat(raw.fileno()).st_size if raw.seekable() else 0


@contextmanager
def _explain(path: str) -> Iterator[None]:
    """Turn the errors of pyarrow into a DataError."""
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if "crypt" in str(error).lower():
            raise DataError(path, None, "is encrypted; decrypt it first, for example with pyarrow") from None
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataError(path, None, f"is damaged or cut ({reason}); copy it again") from None


def choose_columns(schema: Any, names: Sequence[str], *, path: str, cure: str) -> list[str]:
    """Return the columns of ``schema`` that hold ``names``: by their name, that of a struct, or in another case.

    Raises:
        DataError: there is no such column, or there are several.
    """
    found = []
    for name in dict.fromkeys(names):
        parts = name.split(".")
        # a name with dots may be that of a column, or the path to a field of a struct
        exact = next(
            (each for end in range(len(parts), 0, -1) if (each := ".".join(parts[:end])) in schema.names), None
        )
        same = [each for each in schema.names if each.strip().casefold() == name.casefold()]
        column = exact if exact is not None else same[0] if len(same) == 1 else None
        if column is None:
            raise DataError(path, None, f"no column '{shorten(name)}'; the columns are {_list(schema.names)}; {cure}")
        if schema.names.count(column) > 1:
            raise DataError(path, None, f"several columns are named '{shorten(column)}'; rename one")
        found.append(column)
    return list(dict.fromkeys(found))


def check_names(schema: Any, *, path: str) -> None:
    """Raise DataError if several columns of ``schema`` have one name."""
    if repeated := next((name for name in schema.names if schema.names.count(name) > 1), None):
        raise DataError(path, None, f"several columns are named '{shorten(repeated)}'; rename one")


def check_texts(schema: Any, columns: Sequence[str], *, path: str) -> None:
    """Raise DataError if one of ``columns``, which exist, holds lists or the like instead of texts."""
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    for name in columns:
        kind = schema.field(name).type
        if pa.types.is_nested(kind) and not pa.types.is_run_end_encoded(kind):
            cure = f"{name}.{kind.field(0).name}" if pa.types.is_struct(kind) and kind.num_fields else "another column"
            raise DataError(
                path, None, f"column '{shorten(name)}' holds {_shorten_type(str(kind))}, not texts; name {cure}"
            )


def _shorten_type(kind: str) -> str:
    return kind if len(kind) <= _SHOWN_TYPE else f"{kind[:_SHOWN_TYPE]}..."


def _list(names: Sequence[str]) -> str:
    more = f", and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(map(shorten, names[:_SHOWN_NAMES])) + more
