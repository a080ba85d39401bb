"""Text without labels: each line is a text, or a column of a table has the texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textrnn.config import DataConfig
from textrnn.data.reading.fields import split_fasttext
from textrnn.data.reading.io import Note, decode, open_text, read_chunks
from textrnn.data.reading.layout import FASTTEXT_LABEL, is_json
from textrnn.data.reading.rows import RowReader
from textrnn.errors import DataError, name_file, pluralize

_REPLACEMENT = "\ufffd".encode()


class LineReader:
    """Reads each line of ``chunks`` as a text; iteration yields the lines and the texts of each chunk.

    In a file whose first line is in fastText's format, labels are left out of the texts. ``notes`` are lines for the
    user.
    """

    def __init__(self, path: str, chunks: Iterable[bytes]) -> None:
        self._path, self._chunks = path, chunks
        self._invalid = 0
        self.is_fasttext: bool | None = None  # None: not known before the first line that is not blank
        self.is_json = False

    @property
    def notes(self) -> list[str]:
        """Lines for the user about what was detected so far."""
        notes, name = [], name_file(self._path)
        if self.is_fasttext:
            notes.append(f"{name}: fastText's format; the labels (__label__...) are left out of the texts")
        if self._invalid:
            count = pluralize(self._invalid, "line has", "lines have")
            notes.append(f"{name}: {count} bytes that are invalid in the encoding; they were read as U+FFFD")
        return notes

    def __iter__(self) -> Iterator[tuple[list[bytes], list[str]]]:
        for chunk in self._chunks:
            text = decode(chunk)
            lines, texts = chunk.split(b"\n"), text.split("\n")
            if "\r" in text or "\ufeff" in text:
                texts = [line.removesuffix("\r").removeprefix("\ufeff") for line in texts]
            if self.is_fasttext is None and (first := next(filter(str.strip, texts), None)) is not None:
                self.is_fasttext = FASTTEXT_LABEL.match(first.lstrip()) is not None
                self.is_json = is_json(first)
            if "\ufffd" in text:
                pairs = zip(lines, texts, strict=True)
                self._invalid += sum("\ufffd" in line and _REPLACEMENT not in raw for raw, line in pairs)
            if self.is_fasttext:
                texts = [split_fasttext(line)[1] for line in texts]
            yield lines, texts


def read_texts(path: str, config: DataConfig, *, note: Note) -> Iterator[str]:
    """Yield the texts of the file at ``path``: its lines, or with ``data.text`` those of a table.

    Raises:
        DataError: the lines are JSON; see also :func:`textrnn.data.reading.io.open_text` and
            :class:`textrnn.data.reading.rows.RowReader`.
    """
    with open_text(path, encoding=config.encoding, note=note) as (_, file):
        chunks = read_chunks(file.read)
        if config.text is None:
            lines = LineReader(path, chunks)
            for _, texts in lines:
                if lines.is_json:
                    raise DataError(path, None, "JSON, whose keys are no text; name the key of the texts with --field")
                yield from texts
            notes = lines.notes
        else:
            reader = RowReader(path, chunks, config, labelled=False)
            for rows in reader:
                yield from [row.text for row in rows]
            notes = reader.notes
    for line in notes:
        note(line)
