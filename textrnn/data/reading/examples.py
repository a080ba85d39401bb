"""Labelled text as a list of examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textrnn.config import DataConfig
from textrnn.data.labels import join_labels
from textrnn.data.reading.io import Note, encode_lines, open_data, read_chunks
from textrnn.data.reading.records.selection import Distribution
from textrnn.data.reading.rows import RowReader


@dataclass(frozen=True)
class Example:
    """One text with its label (several labels are joined by tabs), and the line of the file where it starts.

    With a ``distribution`` of probabilities, the label is the most probable one.
    """

    label: str
    text: str
    line_number: int
    distribution: Distribution | None = None


def read_examples(
    path: str, config: DataConfig, *, note: Note | None = None, rejects: Callable[[bytes], object] | None = None
) -> list[Example]:
    """Read all examples of the file at ``path`` (``-``: standard input); see :class:`RowReader`.

    Raises:
        DataError: at the first fault, with its line, unless ``config`` skips it; there is no example.
    """
    with open_data(path, config, whole=rejects is not None, note=note) as (_, file):
        rejects = None if rejects is None else encode_lines(rejects, lambda: file)
        reader = RowReader(path, read_chunks(file.read), config, note=note, rejects=rejects)
        return [
            Example(join_labels(row.labels), row.text, row.number, row.distribution) for rows in reader for row in rows
        ]
