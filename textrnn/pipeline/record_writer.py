"""Writes a prediction in front of each record: as fields of a line, columns of a table, or keys of an object."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from textrnn.data.reading.io import decode
from textrnn.data.reading.records.fields import parse_object
from textrnn.data.reading.records.selection import FaultError
from textrnn.errors import ConfigError, shorten
from textrnn.inference import OutputFormat
from textrnn.inference.engine import Engine
from textrnn.pipeline.columns import find_prefix
from textrnn.pipeline.records import Record
from textrnn.pipeline.writers import OutputChunk

RECORD = "record"
"""The key of a record that is not a JSON object."""

T = TypeVar("T")


@dataclass(frozen=True)
class RecordWriter(ABC, Generic[T]):
    """Writes each record with its prediction, of the type ``T``; subclasses say what a prediction is.

    A line of text gives a line in the format ``output``; ``with_text`` appends the text. A record of a table keeps its
    format, and gets columns or keys in front. If the table uses one of their names, all of them get a prefix.
    """

    engine: Engine
    output: OutputFormat = "tsv"
    with_text: bool = False

    @abstractmethod
    def predict(self, texts: Sequence[str], threads: int) -> Sequence[T]:
        """Return the prediction of each text."""

    @abstractmethod
    def list_columns(self) -> Sequence[str]:
        """Return the names of the columns of a table."""

    @abstractmethod
    def list_keys(self) -> Sequence[str]:
        """Return all keys that :meth:`make_row` may return, and :data:`RECORD`."""

    @abstractmethod
    def make_fields(self, prediction: T) -> Sequence[str]:
        """Return the fields of a prediction, one for each of :meth:`list_columns`."""

    @abstractmethod
    def make_row(self, prediction: T, text: str, threads: int) -> dict[str, object]:
        """Return the JSON object of the prediction for ``text``."""

    @abstractmethod
    def list_types(self) -> dict[str, Any]:
        """Return the columns of a Parquet or Arrow file with their types, as pyarrow.DataType."""

    @abstractmethod
    def make_values(self, predictions: Sequence[T]) -> dict[str, Any]:
        """Return the values of each of :meth:`list_types`."""

    def make_columns(self, texts: Sequence[str], threads: int) -> dict[str, Any]:
        """Return the columns of a Parquet or Arrow file for ``texts``."""
        return self.make_values(self.predict(texts, threads))

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return a line for each of ``records``."""
        texts = [record.text for record in records if record.text is not None]
        predictions = iter(self.predict(texts, threads) if texts else ())
        lines = [
            self._write_header(record) if record.text is None else self._write(record, next(predictions), threads)
            for record in records
        ]
        return OutputChunk(b"".join(lines), len(texts), len(texts))

    def _write_header(self, record: Record) -> bytes:
        columns = self.list_columns()
        prefix = find_prefix({*columns, *self.list_keys()}, record.names)
        return _prepend_fields([prefix + name for name in columns], record)

    def _write(self, record: Record, prediction: T, threads: int) -> bytes:
        """Return the output line of ``record``, with its end."""
        assert record.text is not None  # headers have no predictions
        if record.format == "jsonl":
            return self._prepend_keys(self.make_row(prediction, record.text, threads), record)
        if record.format != "line":
            return _prepend_fields(self.make_fields(prediction), record)
        if self.output == "jsonl":
            row = self.make_row(prediction, record.text, threads)
            return _to_json(row | {"text": record.text} if self.with_text else row) + b"\n"
        line = "\t".join(self.make_fields(prediction)).encode()
        return line + b"\t" + record.raw + b"\n" if self.with_text else line + b"\n"

    def _prepend_keys(self, row: dict[str, object], record: Record) -> bytes:
        """Return a JSON object with the keys of ``row`` in front; the rest is unchanged.

        A record that is not a JSON object becomes the value of the key :data:`RECORD`.
        """
        names = record.names if record.is_valid else _parse_names(record.raw)
        prefix = find_prefix(self.list_keys(), names or ())
        keys = _to_json({prefix + name: value for name, value in row.items()} if prefix else row)[1:-1]
        if names is None:
            whole = json.dumps({prefix + RECORD: decode(record.raw)})[1:-1].encode()
            return b"{" + keys + b", " + whole + b"}\n"
        before, brace, rest = record.raw.partition(b"{")
        comma = b"" if rest.lstrip().startswith(b"}") else b", "
        return before + brace + keys + comma + rest + b"\n"


def _parse_names(raw: bytes) -> Collection[str] | None:
    """Return the keys of a bad record, None if it is not a JSON object."""
    try:
        return parse_object(decode(raw))
    except FaultError:
        return None


def _prepend_fields(fields: Sequence[str], record: Record) -> bytes:
    """Return the row of a table with ``fields``, which contain no newline, in front.

    Raises:
        ConfigError: a field contains the delimiter, and the table has no quotes.
    """
    delimiter = record.delimiter
    if record.is_quoted:
        fields = [_quote(field, delimiter) for field in fields]
    elif delimiter in "".join(fields):
        found = shorten(next(field for field in fields if delimiter in field))
        fault = f"'{found}' contains the delimiter '{delimiter}', and the table has no quotes"
        raise ConfigError(f"{fault}; use --set data.quoting=true")
    return (delimiter.join(fields) + delimiter).encode() + record.raw + b"\n"


def _quote(field: str, delimiter: str) -> str:
    # tables with tabs are detected as quoted by quotes around all fields of the first line
    if delimiter == "\t" or '"' in field or delimiter in field:
        return '"' + field.replace('"', '""') + '"'
    return field


def _to_json(row: dict[str, object]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()
