"""Files of text or of rows: Parquet and Arrow are read as lines of JSON with the columns that are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from textrnn.config import DataConfig, as_list
from textrnn.data.arrow.arrow_files import ArrowSource, check_texts, choose_columns, find_kind
from textrnn.data.arrow.json_lines import format_batch
from textrnn.data.reading.encodings import UTF8
from textrnn.data.reading.io import STDIN, Note, TextFile, open_raw, open_text, read_chunks
from textrnn.data.reading.layout import LABEL, TEXT
from textrnn.errors import ConfigError, name_file

_KEYS = ("format", "encoding", "delimiter", "quoting")


class RowFile:
    """The rows of an open Parquet or Arrow file or folder as lines of JSON, read as a :class:`TextFile` is.

    ``rows`` is the number of rows read so far. Without ``labelled``, only the text is read; ``whole`` reads all columns.

    Raises:
        DataError: a column is missing, or the text is no text; see also :class:`ArrowSource`.
        ConfigError: a setting has no effect on such a file.
    """

    encoding, mark, ends_in_return = UTF8, b"", False

    def __init__(self, source: ArrowSource, config: DataConfig, *, labelled: bool, whole: bool) -> None:
        name = name_file(source.path)
        if given := [key for key in _KEYS if config.is_set(key)]:
            raise ConfigError([f"data.{key}: no effect on {name}, which is Parquet or Arrow; leave it out" for key in given])
        cure = "name yours with --set data.label=NAME --set data.text=NAME" if labelled else "choose one with --field NAME"
        texts, others = list_columns(config, labelled=labelled)
        self._texts = choose_columns(source.schema, texts, path=source.path, cure=cure)
        check_texts(source.schema, [column for column in self._texts if column in texts], path=source.path)
        needed = choose_columns(source.schema, [*texts, *others], path=source.path, cure=cure)
        self._source, self.rows = source, 0
        self._batches = source.read(None if whole else needed)

    def read(self, size: int = 0) -> bytes:
        """Return the lines of the next rows, or no bytes at the end."""
        del size
        for batch in self._batches:
            if batch.num_rows:
                self.rows += batch.num_rows
                return format_batch(batch, self._texts)
        return b""

    read1 = read

    def tell(self) -> int:
        """Return about the number of bytes of the file that were read."""
        return self._source.position

    def encode(self, text: bytes) -> bytes:
        """Return ``text``."""
        return text


def list_columns(config: DataConfig, *, labelled: bool) -> tuple[list[str], list[str]]:
    """Return the names of the columns of the text, and those of the others that ``config`` reads."""
    others = [*(as_list(config.label) or [LABEL]), *as_list(config.group)] if labelled else []
    return as_list(config.text) or [TEXT], others


@contextmanager
def open_data(
    path: str, config: DataConfig, *, labelled: bool = True, whole: bool = False, note: Note | None = None
) -> Iterator[tuple[BinaryIO | RowFile, TextFile | RowFile]]:
    """Open ``path`` (``-``: standard input) as :func:`open_text` does, or as rows if it is Parquet or Arrow.

    Raises:
        DataError, ConfigError: see :func:`open_text` and :class:`RowFile`.
    """
    if Path(path).is_dir():
        rows = RowFile(ArrowSource(path), config, labelled=labelled, whole=whole)
        yield rows, rows
        return
    with open_raw(path) as raw:
        if find_kind(path, raw.peek(1)) is None:
            with open_text(path, encoding=config.encoding, note=note, raw=raw) as opened:
                yield opened
        else:
            source = ArrowSource(path, raw=raw if path == STDIN else None)
            rows = RowFile(source, config, labelled=labelled, whole=whole)
            yield rows, rows


def read_data(path: str, config: DataConfig, *, labelled: bool = True, note: Note | None = None) -> Iterator[bytes]:
    """Yield the content of :func:`open_data` in the chunks of :func:`read_chunks`."""
    with open_data(path, config, labelled=labelled, note=note) as (_, file):
        yield from read_chunks(file.read)
