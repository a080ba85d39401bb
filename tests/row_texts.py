"""Rows of text in memory: what they are read as, and the first fault."""

from __future__ import annotations

import io

import pytest

from textrnn.config import DataConfig
from textrnn.data.reading.io import Note, read_chunks
from textrnn.data.reading.rows import Row, RowReader
from textrnn.errors import TextrnnError

BOM = b"\xef\xbb\xbf"


def open_rows(
    content: str | bytes, name: str = "d.txt", *, size: int = 1 << 20, note: Note | None = None, **options: object
) -> RowReader:
    """Return a reader of ``content`` that gets chunks of about ``size`` bytes."""
    content = content if isinstance(content, bytes) else content.encode("utf-8")
    labelled = bool(options.pop("labelled", True))
    chunks = read_chunks(io.BytesIO(content).read, size)
    return RowReader(name, chunks, DataConfig.model_validate(options), labelled=labelled, note=note)


def read_rows(content: str | bytes, name: str = "d.txt", **options: object) -> list[Row]:
    """Return all rows of ``content``."""
    return [row for rows in open_rows(content, name, **options) for row in rows]  # type: ignore[arg-type]


def notes_of(content: str | bytes, name: str = "d.txt", **options: object) -> list[str]:
    """Return the lines for the user."""
    notes: list[str] = []
    read_rows(content, name, note=notes.append, **options)
    return notes


def read_pairs(content: str | bytes, name: str = "d.txt", **options: object) -> list[tuple[str, str, int]]:
    """Return the labels (joined by commas), the text and the line of each row."""
    return [(",".join(row.labels), row.text, row.number) for row in read_rows(content, name, **options)]


def fault_of(content: str | bytes, name: str = "d.txt", **options: object) -> str:
    """Return the message of the first fault."""
    with pytest.raises(TextrnnError) as caught:
        read_rows(content, name, **options)
    return str(caught.value)
