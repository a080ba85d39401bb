"""Input records of prediction: lines of text, or rows of a table with a text field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import BinaryIO, Literal, NamedTuple, cast

from textrnn.config import DataConfig
from textrnn.data.reading.io import Note, TextFile, encode_back, open_text, read_chunks
from textrnn.data.reading.lines import LineReader
from textrnn.data.reading.rows import RowReader
from textrnn.errors import DataError
from textrnn.inference import RecordFormat

_READ_BYTES = 1 << 18


class Record(NamedTuple):
    """An input record: the ``raw`` bytes without the final newline (but with a ``\\r``), and its ``text``.

    ``text`` is None for a header. The fields of a table are divided by ``delimiter``, and perhaps quoted. ``names`` are
    the columns of a header, or the keys of an object. ``is_valid`` is False for a bad record that is read as an empty
    text.
    """

    raw: bytes
    text: str | None
    format: RecordFormat | Literal["line"] = "line"
    delimiter: str = "\t"
    is_quoted: bool = False
    names: Collection[str] = ()
    is_valid: bool = True

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.raw)


class RecordReader:
    """Reads files one after the other, and emits their records as soon as they arrive.

    Args:
        config: the format of tables, with ``text`` as the column or key of the text; without it each line is a text.
        watch: called with the number of bytes read from all files so far, before decompression.
        note: receives lines for the user.
        rejects: receives the lines of bad records that ``config`` skips, in the encoding of their file.
    """

    def __init__(
        self,
        config: DataConfig,
        *,
        watch: Callable[[int], None] | None = None,
        note: Note | None = None,
        rejects: Callable[[bytes], object] | None = None,
    ) -> None:
        self._config, self._watch, self._rejects = config, watch, rejects
        self._note = note or (lambda _: None)
        self._finished_bytes = 0
        self._first: tuple[str, RecordFormat] | None = None  # path and format
        self._first_file: TextFile | None = None
        self._header: tuple[str, tuple[str, ...]] | None = None  # delimiter and names, of the first file with a header
        self._has_rejected = False

    @property
    def mark(self) -> bytes:
        """The byte-order mark of the first file."""
        return b"" if self._first_file is None else self._first_file.mark

    def encode(self, text: bytes) -> bytes:
        """Return UTF-8 ``text`` in the encoding of the first file.

        Raises:
            DataError: the encoding lacks a character.
        """
        if self._first_file is None:
            return text
        try:
            return encode_back(text, self._first_file.encoding)
        except UnicodeEncodeError as error:
            lacking = error.object[error.start]
            encoding = self._first_file.encoding
            reason = f"'{lacking}' of a label cannot be written in the file's encoding, {encoding}; convert it to UTF-8"
            raise DataError(self._first_file.path, None, reason) from None

    def read(self, paths: Iterable[str], emit: Callable[[Sequence[Record]], None]) -> None:
        """Call ``emit`` with the records of ``paths`` as soon as they arrive.

        Lines may be empty. The rows of tables are those of :class:`RowReader`. Tables must have equal headers; only the
        first is emitted.

        Raises:
            DataError: a file cannot be read, its format is unknown or differs from that of the first file, or a record
                is bad and not skipped. All earlier records were emitted.
        """
        for path in paths:
            with open_text(path, encoding=self._config.encoding, note=self._note) as (raw, file):
                self._first_file = self._first_file or file
                position = 0

                def read1(size: int, file: TextFile = file, raw: BinaryIO = raw) -> bytes:
                    nonlocal position
                    data = file.read1(size)
                    if self._watch is not None:
                        position = raw.tell()
                        self._watch(self._finished_bytes + position)
                    return data

                chunks = read_chunks(read1, _READ_BYTES)
                if self._config.text is None:
                    lines = LineReader(path, chunks)
                    for block, texts in lines:
                        emit(list(map(Record, block, texts)))
                    for line in lines.notes:
                        self._note(line)
                else:
                    for records in self._read_rows(path, chunks):
                        emit(records)
                self._finished_bytes += position

    def _read_rows(self, path: str, chunks: Iterator[bytes]) -> Iterator[list[Record]]:
        for chunk in chunks:
            if chunk.strip():
                break
        else:
            return
        reader = RowReader(path, chain([chunk], chunks), self._config, labelled=False, rejects=self._reject)
        layout = reader.layout
        kind = cast("RecordFormat", layout.format)
        if self._first is None:
            self._first = (path, kind)
        elif kind != self._first[1]:
            raise DataError(path, 1, f"{kind}, but {self._first[0]} is {self._first[1]}; process the files one by one")
        if reader.header is not None:
            yield self._check_header(path, reader)
        delimiter, is_quoted = layout.delimiter, layout.is_quoted
        for rows in reader:
            yield [Record(row.raw, row.text, kind, delimiter, is_quoted, row.names, row.is_valid) for row in rows]
        for line in reader.notes:
            self._note(line)

    def _check_header(self, path: str, reader: RowReader) -> list[Record]:
        header, layout = reader.header, reader.layout
        assert header is not None
        assert layout.header is not None
        found = (layout.delimiter, layout.header)
        if self._header is None:
            self._header = found
            kind = cast("RecordFormat", layout.format)
            return [Record(header, None, kind, layout.delimiter, layout.is_quoted, layout.header)]
        if found != self._header:
            reason = "the header differs from that of earlier files; process the files one by one"
            raise DataError(path, layout.start, reason)
        return []

    def _reject(self, lines: bytes) -> None:
        if self._rejects is not None:
            self._rejects((b"" if self._has_rejected else self.mark) + self.encode(lines))
            self._has_rejected = True
