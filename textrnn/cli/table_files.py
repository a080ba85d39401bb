"""Tables that commands write: TSV, CSV or JSON Lines by the extension of the file, and TSV on stdout."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from textrnn.cli.line_command import STDOUT, open_output
from textrnn.data.reading.layout import find_suffix
from textrnn.errors import ConfigError
from textrnn.inference import RecordFormat

_FORMATS: dict[str, RecordFormat] = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl"}
_BLANKS = str.maketrans("\t\r\n", "   ")


def find_format(path: Path | None, *, option: str) -> RecordFormat:
    """Return the format of the table at ``path`` (None, ``-``: stdout) that ``option`` names.

    Raises:
        ConfigError: its extension, before that of a compression, is another.
    """
    if path is None or path == STDOUT:
        return "tsv"
    found = _FORMATS.get(find_suffix(str(path)))
    if found is None:
        raise ConfigError(f"{option} {path}: unknown extension; use .tsv, .csv or .jsonl")
    return found


def write_table(
    path: Path | None, columns: Sequence[str], rows: Iterable[Sequence[object]], *, output: RecordFormat
) -> None:
    """Write ``rows`` to ``path`` (None, ``-``: stdout), after a header with ``columns`` unless it is JSON Lines.

    Numbers have six decimals, as those of ``predict``. TSV has no quotes: tabs and line breaks become spaces.
    """
    with open_output(path or STDOUT) as write:
        for line in format_table_file(columns, rows, output=output):
            write(line.encode("utf-8", "replace"))


def format_table_file(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, output: RecordFormat
) -> Iterator[str]:
    """Yield the lines of :func:`write_table`."""
    if output == "jsonl":
        for row in rows:
            values = [round(value, 6) if isinstance(value, float) else value for value in row]
            yield json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n"
        return
    yield _format_row(columns, output)
    for row in rows:
        yield _format_row(row, output)


def _format_row(row: Sequence[object], output: RecordFormat) -> str:
    fields = [f"{value:.6f}" if isinstance(value, float) else "" if value is None else str(value) for value in row]
    if output == "tsv":
        return "\t".join(field.translate(_BLANKS) for field in fields) + "\n"
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()
