"""Input records of prediction: lines of text, or rows of a table with a text field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import BinaryIO, Literal, NamedTuple, cast

from textrnn.config import DataConfig
from textrnn.data.arrow.row_file import RowFile
from textrnn.data.reading.detection import EmptyFileError
from textrnn.data.reading.io import Encoded, Note, encode_lines, open_data, read_chunks
from textrnn.data.reading.layout import Layout
from textrnn.data.reading.lines import read_lines
from textrnn.data.reading.rows import RowReader
from textrnn.errors import DataError
from textrnn.inference import RecordFormat

_READ_BYTES = 1 << 18


class Record(NamedTuple):
    """An input record: the ``raw`` bytes without the final newline (but with a ``\\r``), and its ``text``.

    ``text`` is None for a header. The fields of a table are divided by ``delimiter``, and perhaps quoted. ``names`` are
    the columns of a header, or the keys of an object. ``is_valid`` is False for a bad record that is read as an empty
    text. ``row`` is the index of a row of Parquet or Arrow in all files (-1: the record is no row of these).
    """

    raw: bytes
    text: str | None
    format: RecordFormat | Literal["line"] = "line"
    delimiter: str = "\t"
    is_quoted: bool = False
    names: Collection[str] = ()
    is_valid: bool = True
    row: int = -1

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
        rejects: receives the lines of bad records that ``config`` skips, in the encoding of the first file.
        whole: read all columns of Parquet and Arrow, else the text alone.
    """

    def __init__(
        self,
        config: DataConfig,
        *,
        watch: Callable[[int], None] | None = None,
        note: Note | None = None,
        rejects: Callable[[bytes], object] | None = None,
        whole: bool = True,
    ) -> None:
        self._config, self._watch, self._whole = config, watch, whole or rejects is not None
        self._note = note or (lambda _: None)
        self._rejects = None if rejects is None else self.encode_lines(rejects)
        self._finished_bytes = self._finished_rows = 0
        self._first_file: Encoded | None = None
        self._first: tuple[str, Layout] | None = None  # path and layout of the first table

    def encode_lines(self, write: Callable[[bytes], object]) -> Callable[[bytes], None]:
        """Return a function that writes UTF-8 lines as the first file has them: in its encoding, after its mark.

        It raises DataError if the encoding lacks a character.
        """

        def find_file() -> Encoded:
            assert self._first_file is not None  # lines come from an open file
            return self._first_file

        return encode_lines(write, find_file)

    def read(self, paths: Iterable[str], emit: Callable[[Sequence[Record]], None]) -> None:
        """Call ``emit`` with the records of ``paths`` as soon as they arrive.

        Lines may be empty. The rows of tables are those of :class:`RowReader`. Tables must have equal headers; only the
        first is emitted.

        Raises:
            DataError: a file cannot be read, its format is unknown or differs from that of the first file, or a record
                is bad and not skipped. All earlier records were emitted.
        """
        for path in paths:
            with open_data(path, self._config, labelled=False, whole=self._whole, note=self._note) as (raw, file):
                self._first_file = self._first_file or file
                has_rows = isinstance(file, RowFile)
                chunks = read_chunks(file.read1, _READ_BYTES)
                is_table = has_rows or self._config.text is not None
                for records in self._read_rows(path, chunks, has_rows) if is_table else self._read_lines(path, chunks):
                    emit(records)
                    self._report(raw)
                self._finished_bytes = self._report(raw)
                self._finished_rows += file.rows if isinstance(file, RowFile) else 0

    def _report(self, raw: BinaryIO | RowFile) -> int:
        """Report, and return, the number of bytes read from all files so far; 0 if nobody asks, as of a pipe."""
        if self._watch is None:
            return 0
        done = self._finished_bytes + raw.tell()
        self._watch(done)
        return done

    def _read_lines(self, path: str, chunks: Iterator[bytes]) -> Iterator[list[Record]]:
        for lines, texts in read_lines(path, chunks, note=self._note):
            yield list(map(Record, lines, texts))

    def _read_rows(self, path: str, chunks: Iterator[bytes], has_rows: bool) -> Iterator[list[Record]]:
        note, rejects = self._note, self._rejects
        try:
            reader = RowReader(path, chunks, self._config, labelled=False, note=note, rejects=rejects)
        except EmptyFileError as error:
            self._note(str(error))
            return
        layout, header = reader.layout, reader.header
        kind, delimiter, is_quoted = cast("RecordFormat", layout.format), layout.delimiter, layout.is_quoted
        if self._first is not None:
            _check_layout(layout, path, self._first)
        elif layout.header is not None and header is not None:
            yield [Record(header, None, kind, delimiter, is_quoted, layout.header)]
        self._first = self._first or (path, layout)
        before = self._finished_rows - 1
        for rows in reader:
            yield [
                Record(row.raw, row.text, kind, delimiter, is_quoted, row.names, row.is_valid, number)
                for row, number in ((row, before + row.number if has_rows else -1) for row in rows)
            ]


def _check_layout(layout: Layout, path: str, first: tuple[str, Layout]) -> None:
    """Raise DataError if the records of ``path`` cannot follow those of the ``first`` file."""
    first_path, expected = first
    cure = "process the files one by one"
    if layout.format != expected.format:
        raise DataError(path, 1, f"{layout.format}, but {first_path} is {expected.format}; {cure}")
    if layout.header is not None and (layout.delimiter, layout.header) != (expected.delimiter, expected.header):
        raise DataError(path, layout.start, f"the header differs from that of earlier files; {cure}")
