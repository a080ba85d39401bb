"""Text without labels: each line is a text, or a column of a table has the texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textrnn.config import DataConfig
from textrnn.data.arrow.row_file import RowFile
from textrnn.data.reading.io import Note, decode, open_data, read_chunks
from textrnn.data.reading.layout import FASTTEXT_LABEL, is_json
from textrnn.data.reading.records.fields import split_fasttext
from textrnn.data.reading.rows import RowReader
from textrnn.errors import DataError, name_file, pluralize

_REPLACEMENT = "\ufffd".encode()


def read_lines(
    path: str, chunks: Iterable[bytes], *, note: Note, accepts_json: bool = True
) -> Iterator[tuple[list[bytes], list[str]]]:
    """Yield the lines of each of ``chunks``, and their texts.

    In a file whose first line is in fastText's format, labels are left out of the texts. ``note`` gets lines for the
    user about what was detected, after the last line.

    Raises:
        DataError: the lines are JSON, and without ``accepts_json`` that is no text.
    """
    is_fasttext: bool | None = None  # None: not known before the first line that is not blank
    invalid, name = 0, name_file(path)
    for chunk in chunks:
        text = decode(chunk)
        lines, texts = chunk.split(b"\n"), text.split("\n")
        if "\r" in text or "\ufeff" in text:
            texts = [line.removesuffix("\r").removeprefix("\ufeff") for line in texts]
        if is_fasttext is None and (first := next(filter(str.strip, texts), None)) is not None:
            is_fasttext = FASTTEXT_LABEL.match(first.lstrip()) is not None
            if not accepts_json and is_json(first):
                raise DataError(path, None, "JSON, whose keys are no text; name the key of the texts with --field")
        if "\ufffd" in text:
            pairs = zip(lines, texts, strict=True)
            invalid += sum("\ufffd" in line and _REPLACEMENT not in raw for raw, line in pairs)
        if is_fasttext:
            texts = [split_fasttext(line)[1] for line in texts]
        yield lines, texts
    if is_fasttext:
        note(f"{name}: fastText's format; the labels (__label__...) are left out of the texts")
    if invalid:
        count = pluralize(invalid, "line has", "lines have")
        note(f"{name}: {count} bytes that are invalid in the encoding; they were read as U+FFFD")


def read_texts(path: str, config: DataConfig, *, note: Note) -> Iterator[str]:
    """Yield the texts of the file at ``path``: its lines, or with ``data.text`` those of a table; rows are a table.

    Raises:
        DataError: the lines are JSON; see also :func:`textrnn.data.reading.io.open_data` and
            :class:`textrnn.data.reading.rows.RowReader`.
    """
    return (text for _, text in read_numbered_texts(path, config, note=note))


def read_numbered_texts(path: str, config: DataConfig, *, note: Note) -> Iterator[tuple[int, str]]:
    """Yield the texts of :func:`read_texts` with the line where each starts."""
    with open_data(path, config, labelled=False, note=note) as (_, file):
        chunks = read_chunks(file.read)
        if config.text is None and not isinstance(file, RowFile):
            parts = read_lines(path, chunks, note=note, accepts_json=False)
            yield from enumerate((text for _, texts in parts for text in texts), start=1)
        else:
            for rows in RowReader(path, chunks, config, labelled=False, note=note):
                yield from ((row.number, row.text) for row in rows)
