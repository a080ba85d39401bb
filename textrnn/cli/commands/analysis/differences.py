"""Tables of the texts whose predictions by several runs differ."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.cli.terminal import write_data
from textrnn.data.labels import split_labels
from textrnn.data.reading.io import STDIN
from textrnn.data.reading.layout import BY_EXTENSION, find_suffix
from textrnn.errors import ConfigError
from textrnn.files import compressed_write

if TYPE_CHECKING:
    from textrnn.data.reading.examples import Example
    from textrnn.evaluation.comparison import Candidate

_DELIMITERS = {"tsv": "\t", "csv": ","}


def check_format(path: Path) -> None:
    """Raise ConfigError if the extension of ``path`` names no table."""
    if find_suffix(str(path)) not in BY_EXTENSION:
        raise ConfigError(f"--differences {path}: unknown extension; use .tsv, .csv or .jsonl")


def write_differences(path: Path, candidates: Sequence[Candidate], examples: Sequence[Example], *, data: str) -> int:
    """Write the ``examples`` of the file ``data`` that ``candidates`` label differently; return their number.

    The rows are in the order of ``data``: file, line, true label, the prediction of each candidate with its confidence
    (empty: unknown), and the text. Several labels are joined by ``|``. The extension of ``path`` is the format.
    """
    kind = "tsv" if path == Path(STDIN) else BY_EXTENSION[find_suffix(str(path))]
    rows = [row for row in range(len(examples)) if len({_members(c.labels[row]) for c in candidates}) > 1]
    lines = _format_json if kind == "jsonl" else _format_table
    content = lines(candidates, examples, rows=rows, data=data, delimiter=_DELIMITERS.get(kind, ""))
    if path == Path(STDIN):
        for line in content:
            write_data(line)
    else:
        with compressed_write(path) as file:
            file.writelines(line.encode("utf-8", "replace") for line in content)
    return len(rows)


def _members(joined: str) -> frozenset[str]:
    return frozenset(split_labels(joined))


def _format_table(
    candidates: Sequence[Candidate], examples: Sequence[Example], *, rows: Sequence[int], data: str, delimiter: str
) -> Iterator[str]:
    names = [name for c in candidates for name in (c.name, f"{c.name} confidence")]
    yield _format_row(["file", "line", "label", *names, "text"], delimiter)
    for row in rows:
        example, cells = examples[row], []
        for candidate in candidates:
            confidence = _confidence(candidate, row)
            cells += ["|".join(split_labels(candidate.labels[row])), "" if confidence is None else f"{confidence:.4f}"]
        label = "|".join(split_labels(example.label))
        yield _format_row([data, str(example.line_number), label, *cells, example.text], delimiter)


def _format_row(cells: Sequence[str], delimiter: str) -> str:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _format_json(
    candidates: Sequence[Candidate], examples: Sequence[Example], *, rows: Sequence[int], data: str, delimiter: str
) -> Iterator[str]:
    del delimiter
    for row in rows:
        example = examples[row]
        predictions = {
            c.name: {"label": "|".join(split_labels(c.labels[row])), "confidence": _confidence(c, row)}
            for c in candidates
        }
        label = "|".join(split_labels(example.label))
        place = {"file": data, "line": example.line_number, "label": label}
        yield json.dumps({**place, "predictions": predictions, "text": example.text}, ensure_ascii=False) + "\n"


def _confidence(candidate: Candidate, row: int) -> float | None:
    return None if candidate.confidence is None else round(float(candidate.confidence[row]), 6)
