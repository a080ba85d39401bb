"""The texts whose predictions by several runs differ, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textrnn.data.labels import PRINTED_SEPARATOR, split_labels

if TYPE_CHECKING:
    from textrnn.data.reading.examples import Example
    from textrnn.evaluation.comparison import Candidate


def list_columns(candidates: Sequence[Candidate]) -> list[str]:
    """Return the columns: file, line, true label, each candidate's prediction with its confidence, and text."""
    return ["file", "line", "label", *(n for c in candidates for n in (c.name, f"{c.name} confidence")), "text"]


def find_differences(candidates: Sequence[Candidate], texts: int) -> list[int]:
    """Return the numbers, from 0, of the ``texts`` that ``candidates`` label differently."""
    return [row for row in range(texts) if len({frozenset(split_labels(c.labels[row])) for c in candidates}) > 1]


def list_rows(
    candidates: Sequence[Candidate], examples: Sequence[Example], rows: Sequence[int], *, data: str
) -> Iterator[list[object]]:
    """Yield a row of the table for each of the ``rows`` of the file ``data``; an unknown confidence is None."""
    for row in rows:
        example = examples[row]
        cells: list[object] = [data, example.line_number, _join(example.label)]
        for candidate in candidates:
            confidence = None if candidate.confidence is None else float(candidate.confidence[row])
            cells += [_join(candidate.labels[row]), confidence]
        yield [*cells, example.text]


def _join(labels: str) -> str:
    return PRINTED_SEPARATOR.join(split_labels(labels))
