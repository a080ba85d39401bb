"""One input file in, one part out: Parquet to Parquet, other formats to JSON Lines."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Any

from textrnn.errors import DataError
from textrnn.integrations.addresses import open_atomically, open_input, strip_suffixes
from textrnn.integrations.arrow_labeler import ArrowLabeler, describe_missing
from textrnn.pipeline.columns import find_prefix

_BATCH_ROWS = 512
_GROUP_BYTES = 32 << 20  # of a row group in memory
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON = (".jsonl", ".ndjson", ".json")
PARQUET = ".parquet"


@dataclass
class PartCounts:
    """The rows read and written for a part, and the number of times each label was assigned first."""

    rows_in: int = 0
    rows_out: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, predictions: list[dict[str, Any]]) -> None:
        """Count the labels of rows that were written; scores are not counted."""
        for row in predictions:
            label = row.get("label", [])
            self.labels.update(label if isinstance(label, list) else [label])


def name_part(name: str, *, as_json: bool) -> str:
    """Return the name of the part for the input ``name``; it is compressed as the input is."""
    stem, kind, compression = strip_suffixes(name)
    if kind == PARQUET:
        return stem + (".jsonl" if as_json else PARQUET)
    known = kind in _DELIMITERS or kind in _JSON or kind == ".txt"
    return (stem if known else stem + kind) + ".jsonl" + compression


def check_file(labeler: ArrowLabeler, source: str) -> None:
    """Read the first rows of a file.

    Raises:
        DataError: it is damaged, has no column or key with texts, or no text in its first row.
    """
    with _explain(source), open_input(source) as file:
        if strip_suffixes(source)[1] == PARQUET:
            from pyarrow import parquet  # noqa: PLC0415 - other formats do without it

            labeler.list_texts(parquet.ParquetFile(file).schema_arrow.empty_table(), path=source)
            return
        for number, row in itertools.islice(_read_rows(file, source, labeler.column), 1):
            labeler.check_text(row[labeler.column], path=source, number=number)


def label_file(labeler: ArrowLabeler, source: str, target: str) -> PartCounts:
    """Write the rows of the file ``source`` with predictions to ``target``, which appears when it is complete.

    Raises:
        DataError: the file is damaged, or a row has no text.
    """
    with _explain(source), open_input(source) as file, open_atomically(target) as output:
        if strip_suffixes(source)[1] != PARQUET:
            return _label_rows(labeler, file, output, source=source)
        as_json = strip_suffixes(target)[1] != PARQUET
        return _label_parquet(labeler, file, output, source=source, as_json=as_json)


def _label_rows(labeler: ArrowLabeler, file: Any, output: Any, *, source: str) -> PartCounts:
    counts, rows = PartCounts(), _read_rows(file, source, labeler.column)
    while batch := list(itertools.islice(rows, _BATCH_ROWS)):
        texts = [labeler.check_text(row[labeler.column], path=source, number=number) for number, row in batch]
        predictions = labeler.predict(texts)
        counts.rows_out += _write_json(output, [row for _, row in batch], predictions, path=source)
        counts.rows_in += len(batch)
        counts.add(predictions)
    return counts


def _label_parquet(labeler: ArrowLabeler, file: Any, output: Any, *, source: str, as_json: bool) -> PartCounts:
    from pyarrow import Table, parquet  # noqa: PLC0415 - other formats do without it

    reader = parquet.ParquetFile(file, pre_buffer=False)
    counts = PartCounts(rows_in=reader.metadata.num_rows)
    schema = labeler.append_columns(reader.schema_arrow.empty_table(), []).schema
    writer = None if as_json else _GroupWriter(parquet.ParquetWriter(output, schema, compression="zstd"))
    for batch in reader.iter_batches(_BATCH_ROWS, use_threads=False):
        table = Table.from_batches([batch])
        predictions = labeler.predict(labeler.list_texts(table, path=source, start=counts.rows_out))
        if writer is None:
            counts.rows_out += _write_json(output, table.to_pylist(), predictions, path=source)
        else:
            writer.add(labeler.append_columns(table, predictions))
            counts.rows_out += table.num_rows
        counts.add(predictions)
    if writer is not None:
        writer.close()
    return counts


@dataclass
class _GroupWriter:
    """Collects tables for a Parquet file until they fill a row group: many small ones slow its readers."""

    writer: Any
    tables: list[Any] = field(default_factory=list)
    size: int = 0

    def add(self, table: Any) -> None:
        """Write ``table``, now or later."""
        self.tables.append(table)
        self.size += table.nbytes
        if self.size >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._flush()
        self.writer.close()

    def _flush(self) -> None:
        from pyarrow import concat_tables  # noqa: PLC0415 - other formats do without it

        if self.tables:
            self.writer.write_table(concat_tables(self.tables))
        self.tables, self.size = [], 0


def _read_rows(file: Any, path: str, column: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line or record, from 1, and its object. Invalid bytes are read as U+FFFD."""
    kind = strip_suffixes(path)[1]
    if kind in _DELIMITERS:
        text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
        yield from _read_table(text, path, column)
        return
    for number, line in enumerate(io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="\n"), start=1):
        content = line.removesuffix("\n").removesuffix("\r")
        if kind not in _JSON:
            yield number, {column: content}
        elif content.strip():
            yield number, _parse(content, path, number, column=column)


def _parse(content: str, path: str, number: int, *, column: str) -> dict[str, Any]:
    try:
        row = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(path, number, f"not JSON ({error}); correct it") from None
    if not isinstance(row, dict):
        raise DataError(path, number, "not a JSON object; correct it")
    if column not in row:
        raise DataError(path, number, describe_missing(column, [*row]).replace("column", "key"))
    return row


def _read_table(text: io.TextIOWrapper, path: str, column: str) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(sys.maxsize >> 32)
    reader = csv.DictReader(text, delimiter=_DELIMITERS[strip_suffixes(path)[1]], strict=True)
    try:
        names = list(reader.fieldnames or ())
        if names and column not in names:
            raise DataError(path, None, describe_missing(column, names))
        for row in reader:
            if None in row or None in row.values():
                raise DataError(path, reader.line_num, f"should have {len(names)} fields; correct it")
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(path, reader.line_num, f"{error}; correct it") from None


@contextmanager
def _explain(path: str) -> Iterator[None]:
    """Turn the errors of decompression and of pyarrow into a DataError."""
    import lzma  # noqa: PLC0415 - only the names of errors are needed
    import zlib  # noqa: PLC0415

    import pyarrow as pa  # noqa: PLC0415 - reading starts in actors
    import zstandard  # noqa: PLC0415

    try:
        yield
    except (pa.ArrowException, EOFError, OSError, lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataError(path, None, f"is damaged or cut ({reason}); copy it again") from None


def _write_json(output: Any, rows: list[dict[str, Any]], predictions: list[dict[str, Any]], *, path: str) -> int:
    """Write each row with its prediction; return the number of lines written."""
    lines = []
    try:
        for row, prediction in zip(rows, predictions, strict=True):
            prefix = find_prefix(prediction, row)
            own = {prefix + name: value for name, value in prediction.items()}
            lines.append(json.dumps({**row, **own}, ensure_ascii=False, default=_encode))
    except (TypeError, ValueError) as error:
        raise DataError(path, None, f"has a value without a form in JSON ({error}); write Parquet") from None
    data = "".join(f"{line}\n" for line in lines).encode(
        "utf-8", errors="backslashreplace"
    )  # a lone surrogate has this form in JSON
    output.write(data)
    return data.count(b"\n")


def _encode(value: object) -> str:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)
