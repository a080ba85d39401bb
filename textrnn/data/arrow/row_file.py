"""The rows of a Parquet or Arrow file as lines of JSON, with the columns that are needed."""

from __future__ import annotations

from textrnn.config import DataConfig, as_list
from textrnn.data.arrow.arrow_files import ArrowSource, check_names, check_texts, choose_columns
from textrnn.data.arrow.json_lines import format_batch
from textrnn.data.reading.encodings import UTF8
from textrnn.data.reading.layout import LABEL, TEXT
from textrnn.errors import ConfigError, name_file

_KEYS = ("format", "encoding", "delimiter", "quoting")


class RowFile:
    """The rows of an open Parquet or Arrow file or folder as lines of JSON, read as a text file is.

    ``rows`` is the number of rows read so far. Without ``labelled``, only the text is read; ``whole`` reads all
    columns.

    Raises:
        DataError: a column is missing, or the text is no text; see also :class:`ArrowSource`.
        ConfigError: a setting has no effect on such a file.
    """

    encoding, mark, ends_in_return = UTF8, b"", False

    def __init__(self, source: ArrowSource, config: DataConfig, *, labelled: bool, whole: bool) -> None:
        name = name_file(source.path)
        if given := [key for key in _KEYS if config.is_set(key)]:
            keys = ["--input-format" if key == "format" and not labelled else f"data.{key}" for key in given]
            raise ConfigError([f"{key}: no effect on {name}, which is Parquet or Arrow; leave it out" for key in keys])
        cure = (
            "name yours with --set data.label=NAME --set data.text=NAME" if labelled else "choose one with --field NAME"
        )
        texts, others = list_columns(config, labelled=labelled)
        self._texts = choose_columns(source.schema, texts, path=source.path, cure=cure)
        check_texts(source.schema, [column for column in self._texts if column in texts], path=source.path)
        needed = choose_columns(source.schema, [*texts, *others], path=source.path, cure=cure)
        if whole:
            check_names(source.schema, path=source.path)
        self._source, self.rows = source, 0
        self._batches = source.read(None if whole else needed)

    def read(self, size: int = 0) -> bytes:
        """Return the lines of the next rows, or no bytes at the end."""
        del size
        for batch in self._batches:
            if batch.num_rows:
                first, self.rows = self.rows + 1, self.rows + batch.num_rows
                return format_batch(batch, self._texts, path=self._source.path, row=first)
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
    others = [*(config.label_names or [LABEL]), *as_list(config.group), *as_list(config.weight)] if labelled else []
    return as_list(config.text) or [TEXT], others
