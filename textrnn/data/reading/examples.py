"""Labelled text as a list of examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textrnn.config import DataConfig
from textrnn.data.labels import join_labels
from textrnn.data.reading.io import Note, encode_back, open_text, read_chunks
from textrnn.data.reading.rows import RowReader


@dataclass(frozen=True)
class Example:
    """One text with its label (several labels are joined by tabs), and the line of the file where it starts."""

    label: str
    text: str
    line_number: int


def read_examples(
    path: str, config: DataConfig, *, note: Note | None = None, rejects: Callable[[bytes], object] | None = None
) -> list[Example]:
    """Read all examples of the file at ``path`` (``-``: standard input); see :class:`RowReader`.

    Raises:
        DataError: at the first fault, with its line, unless ``config`` skips it; there is no example.
    """
    with open_text(path, encoding=config.encoding, note=note) as (_, file):

        def reject(lines: bytes) -> None:
            if rejects is not None:
                rejects((file.mark if reader.skipped == 1 else b"") + encode_back(lines, file.encoding))

        reader = RowReader(path, read_chunks(file.read), config, rejects=reject)
        examples = [Example(join_labels(row.labels), row.text, row.number) for rows in reader for row in rows]
    for line in reader.notes:
        if note is not None:
            note(line)
    if not examples:
        raise reader.no_text
    return examples
