"""Text without labels: each line is a text, or a column of a table has the texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textrnn.config import DataConfig
from textrnn.data.fields import split_fasttext
from textrnn.data.io import BYTE_ORDER_MARK, Note, decode, open_text, read_chunks
from textrnn.data.layout import FASTTEXT_LABEL, is_json
from textrnn.data.rows import Row, RowReader
from textrnn.errors import DataError, name_file, pluralize

_REPLACEMENT = "\ufffd".encode()


class LineReader:
    """Reads each line of ``chunks`` as a text; iteration yields the rows of each chunk.

    In a file whose first line is in fastText's format, labels are left out of the texts. ``notes`` are lines for the
    user.
    """

    def __init__(self, path: str, chunks: Iterable[bytes]) -> None:
        self._path, self._chunks = path, chunks
        self._invalid = 0
        self.is_fasttext: bool | None = None  # None: not known before the first line that is not blank

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

    def __iter__(self) -> Iterator[list[Row]]:
        number = 1
        for chunk in self._chunks:
            lines = chunk.split(b"\n")
            texts = [decode(line.removesuffix(b"\r").removeprefix(BYTE_ORDER_MARK)) for line in lines]
            if self.is_fasttext is None and (first := next(filter(str.strip, texts), None)) is not None:
                self.is_fasttext = FASTTEXT_LABEL.match(first.lstrip()) is not None
            if "\ufffd" in "".join(texts):
                pairs = zip(lines, texts, strict=True)
                self._invalid += sum("\ufffd" in text and _REPLACEMENT not in line for line, text in pairs)
            if self.is_fasttext:
                texts = [split_fasttext(text)[1] for text in texts]
            numbers = range(number, number + len(lines))
            yield [Row(at, line, text, []) for at, line, text in zip(numbers, lines, texts, strict=True)]
            number += len(lines)


def read_texts(path: str, config: DataConfig, *, note: Note) -> Iterator[str]:
    """Yield the texts of the file at ``path``: its lines, or with ``data.text`` those of a table.

    Raises:
        DataError: the lines are JSON; see also :func:`textrnn.data.io.open_text` and
            :class:`textrnn.data.rows.RowReader`.
    """
    with open_text(path, encoding=config.encoding, note=note) as (_, file):
        chunks = read_chunks(file.read)
        reader = LineReader(path, chunks) if config.text is None else RowReader(path, chunks, config, labelled=False)
        for rows in reader:
            if config.text is None and rows[0].number == 1 and is_json(rows[0].text):
                raise DataError(path, 1, "JSON, whose keys are no text; name the key of the texts with --field")
            for row in rows:
                yield row.text
    for line in reader.notes:
        note(line)
