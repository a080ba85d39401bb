"""The text of files and standard input as UTF-8, whatever their compression, encoding and line ends."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Protocol

from textrnn.config import DataConfig
from textrnn.data.arrow.arrow_files import ArrowSource, find_kind, find_parts
from textrnn.data.arrow.json_lines import JsonLines
from textrnn.data.arrow.row_file import RowFile
from textrnn.data.reading.decompression import DAMAGED, decompress
from textrnn.data.reading.encodings import (
    AUTO,
    MARKS,
    UTF8,
    find_mark,
    find_utf16,
    guess_encoding,
    is_certain_utf8,
    is_mostly_utf8,
)
from textrnn.data.reading.file_kinds import refuse_binary
from textrnn.errors import DataError, name_file

STDIN = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
Note = Callable[[str], None]
"""Receives a line for the user."""

_BLOCK_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 20
_ESCAPE = "textrnn.escape"
_FIRST_ESCAPE = 0xDC00  # of 256: no decoded text has a surrogate
_ESCAPED = re.compile("([\udc00-\udcff]+)")
_MIN_HEAD = 512  # bytes that tell binary files, a tar among them
_MAX_HEAD = 1 << 22  # that are searched for a line end
_WIDE = ("utf-16", "utf-32")  # encodings with NUL bytes


def check_readable(path: str) -> None:
    """Check that ``path`` names a file that can be opened, standard input, or a folder of Parquet or Arrow files.

    Nothing is read from a pipe.

    Raises:
        DataError: the file does not exist, is another folder, or cannot be read.
    """
    if path == STDIN:
        if sys.stdin is None:
            raise DataError(path, None, "is closed; name a file")
        return
    file = Path(path)
    try:
        if file.is_dir():
            find_parts(path)
        if not file.exists():
            raise DataError(path, None, "no such file")
        if file.is_file():
            file.open("rb").close()
    except (OSError, ValueError) as error:
        raise DataError(path, None, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def is_pipe(path: str) -> bool:
    """Return True for standard input and other paths that can be read only once."""
    return path == STDIN or (Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir())


class TextFile:
    """The text of an open file in UTF-8; lines end in ``\\n``, perhaps after a ``\\r``.

    A byte-order mark is removed. Where every line ends in ``\\r`` alone, it becomes ``\\n``. ``encoding`` is that of
    the file, ``mark`` its byte-order mark, ``ends_in_return`` whether its lines end so. With ``auto``, the first bytes
    that are not ASCII decide the encoding. Bytes that are invalid in it stay recognizable: UTF-8 is passed on
    unchanged, and in text of other encodings they become U+DC00 to U+DCFF, which :meth:`encode` turns into the same
    bytes.

    Raises:
        DataError: the content is no text, or its encoding cannot be detected.
    """

    def __init__(self, path: str, content: BinaryIO, *, encoding: str = AUTO, note: Note | None = None) -> None:
        self.path, self._content, self._note = path, content, note or (lambda _: None)
        first = b""
        # without waiting for more than a line; a CR in a line says nothing about the ends of lines
        while (len(first) < _MIN_HEAD or b"\r" in first) and b"\n" not in first and len(first) < _MAX_HEAD:
            if not (data := content.read1(_BLOCK_BYTES)):  # type: ignore[attr-defined]
                break
            first += data
        self.mark = find_mark(first)
        named = None if encoding == AUTO else codecs.lookup(encoding).name.removesuffix("-sig")
        self.encoding = named or MARKS.get(self.mark) or find_utf16(first) or UTF8
        if named in ("utf-16", "utf-32"):  # the mark names the byte order
            self.encoding = MARKS.get(self.mark) or find_utf16(first) or f"{named}-le"
        if self.mark and MARKS[self.mark] != self.encoding:
            raise self._refuse_encoding(MARKS[self.mark])
        if not self.encoding.startswith(_WIDE):
            refuse_binary(path, first)
        self._is_named, self._has_strays = named is not None, False
        self._is_decided = bool(self.mark) or self.encoding.startswith(_WIDE)
        self._decode = None if self.encoding == UTF8 else codecs.getincrementaldecoder(self.encoding)(_ESCAPE)
        if named is None and self.encoding != UTF8:
            self._note(f"{name_file(path)}: read as {self.encoding}")
        self._first = self._convert(first.removeprefix(self.mark))
        self.ends_in_return = b"\n" not in self._first and b"\r" in self._first[:-1]
        if self.ends_in_return:
            self._note(f"{name_file(path)}: its lines end in CR alone; read as lines")

    def read(self, size: int) -> bytes:
        """Return about ``size`` bytes, or no bytes at the end."""
        return self._read(self._content.read, size)

    def read1(self, size: int) -> bytes:
        """Return the bytes that are available, at most about ``size``; wait only if there are none."""
        return self._read(self._content.read1, size)  # type: ignore[attr-defined]

    def encode(self, text: bytes) -> bytes:
        """Return UTF-8 ``text`` in the encoding of the file.

        Raises:
            DataError: the encoding lacks a character.
        """
        if self.encoding == UTF8 or (text.isascii() and not self.encoding.startswith(_WIDE)):
            return text
        parts = _ESCAPED.split(text.decode("utf-8", "surrogatepass"))
        try:
            # an error handler cannot do this: the codecs of UTF-16 reject single bytes
            return b"".join(
                [_unescape(part) if at % 2 else part.encode(self.encoding) for at, part in enumerate(parts)]
            )
        except UnicodeEncodeError as error:
            where = f"cannot be written in the file's encoding, {self.encoding}; convert it to UTF-8"
            raise DataError(self.path, None, f"'{error.object[error.start]}' of a label {where}") from None

    def _read(self, read: Callable[[int], bytes], size: int) -> bytes:
        text, self._first = self._first, b""
        while not text:
            data = read(size)
            text = self._convert(data)
            if not data:
                break
        if self.ends_in_return and b"\n" in text:
            raise DataError(self.path, None, "lines end in CR, and later in LF; convert it with: tr '\\r' '\\n'")
        return text.replace(b"\r", b"\n") if self.ends_in_return else text

    def _convert(self, data: bytes) -> bytes:
        if not self._is_decided and not data.isascii():
            self._decide(data)
        if self._decode is None:
            return data
        return self._decode.decode(data, final=not data).encode("utf-8", "surrogatepass")

    def _refuse_encoding(self, found: str) -> DataError:
        reason = f"is {found}, but data.encoding is {self.encoding}; use --set data.encoding=auto"
        return DataError(self.path, None, reason)

    def _decide(self, data: bytes) -> None:
        if self._is_named:
            if self.encoding != UTF8 and is_certain_utf8(data):
                raise self._refuse_encoding(UTF8)
            self._is_decided = True
            return
        encoding = guess_encoding(data)
        if encoding is None:
            raise DataError(
                self.path,
                None,
                "is not UTF-8, and has too few bytes that are not ASCII to detect the encoding; name it, as in --set "
                "data.encoding=cp949",
            )
        self._is_decided = encoding != UTF8 or is_mostly_utf8(data)
        self._has_strays = self._has_strays or not self._is_decided
        if encoding != UTF8:
            if self._has_strays:
                cure = f"name it with --set data.encoding={encoding}"
                raise DataError(self.path, None, f"seems to be {encoding}, but starts with much ASCII text; {cure}")
            self.encoding = encoding
            self._decode = codecs.getincrementaldecoder(encoding)(_ESCAPE)
            self._note(f"{name_file(self.path)}: read as {encoding}; if that is wrong, use --set data.encoding=NAME")


class Encoded(Protocol):
    """A file with an encoding, and perhaps a byte-order mark."""

    @property
    def mark(self) -> bytes:
        """The byte-order mark."""

    def encode(self, text: bytes) -> bytes:
        """Return UTF-8 ``text`` in the encoding of the file."""


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Replace invalid bytes; unlike Python's surrogateescape also those below 128, as in UTF-16 that is cut."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join([chr(_FIRST_ESCAPE + byte) for byte in error.object[error.start : error.end]]), error.end


def _unescape(text: str) -> bytes:
    return bytes(ord(character) - _FIRST_ESCAPE for character in text)


codecs.register_error(_ESCAPE, _escape)


def encode_lines(write: Callable[[bytes], object], file: Callable[[], Encoded]) -> Callable[[bytes], None]:
    """Return a function that writes UTF-8 lines as ``file()`` has them: in its encoding, the first after its mark."""
    is_first = True

    def encode(lines: bytes) -> None:
        nonlocal is_first
        write((file().mark if is_first else b"") + file().encode(lines))
        is_first = False

    return encode


@contextmanager
def open_raw(path: str) -> Iterator[BufferedReader]:
    """Open the bytes of ``path`` (``-``: standard input); raises DataError if it cannot be opened."""
    check_readable(path)
    if path != STDIN and Path(path).is_dir():
        raise DataError(path, None, "is a folder; name a file")
    # a buffer of its own for standard input: a thread blocked in sys.stdin's buffer would block the exit of the process
    raw = open(sys.stdin.fileno(), "rb", closefd=False) if path == STDIN else Path(path).open("rb")  # noqa: SIM115
    try:
        yield raw
    finally:
        raw.close()


@contextmanager
def open_text(
    path: str, *, encoding: str = AUTO, note: Note | None = None, raw: BufferedReader | None = None
) -> Iterator[tuple[BinaryIO, TextFile]]:
    """Open ``path`` (``-``: standard input); yield the raw file, whose position shows the progress, and its text.

    gzip, bzip2, xz and zstd are detected by their first bytes. ``raw`` is the file if it is open already.

    Raises:
        DataError: the file cannot be opened, its compressed data is damaged, or see :class:`TextFile`.
    """
    with open_raw(path) if raw is None else nullcontext(raw) as file:
        try:
            yield file, TextFile(path, decompress(file), encoding=encoding, note=note)
        except (*DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # not of the content
                raise
            raise DataError(path, None, f"compressed data is damaged or truncated ({error}); copy it again") from None


@contextmanager
def open_data(
    path: str, config: DataConfig, *, labelled: bool = True, whole: bool = False, note: Note | None = None
) -> Iterator[tuple[BinaryIO | RowFile, TextFile | RowFile]]:
    """Open ``path`` (``-``: standard input) as :func:`open_text` does, or as rows if it is Parquet or Arrow.

    Raises:
        DataError, ConfigError: see :func:`open_text` and :class:`RowFile`.
    """
    if Path(path).is_dir():
        with ArrowSource(path) as source:
            rows = RowFile(source, config, labelled=labelled, whole=whole)
            yield rows, rows
        return
    with open_raw(path) as raw:
        if find_kind(path, raw.peek(1)) is None:
            with open_text(path, encoding=config.encoding, note=note, raw=raw) as opened:
                yield opened
        else:
            with ArrowSource(path, raw=raw if is_pipe(path) else None) as source:
                rows = RowFile(source, config, labelled=labelled, whole=whole)
                yield rows, rows


def read_file(path: str, *, encoding: str = AUTO, note: Note | None = None) -> Iterator[bytes]:
    """Yield the text of ``path`` in the chunks of :func:`read_chunks`."""
    with open_text(path, encoding=encoding, note=note) as (_, file):
        yield from read_chunks(file.read)


def read_data(path: str, config: DataConfig, *, labelled: bool = True, note: Note | None = None) -> Iterator[bytes]:
    """Yield the content of :func:`open_data` in the chunks of :func:`read_chunks`."""
    with open_data(path, config, labelled=labelled, note=note) as (_, file):
        yield from read_chunks(file.read)


def read_blocks(path: str, *, encoding: str = AUTO, note: Note | None = None) -> Iterator[list[bytes]]:
    """Yield the lines of ``path``, without their ends, in blocks of all that are available; wait only for the first.

    Only ``\\n`` ends a line; a ``\\r`` before it is removed. The last line may lack its ``\\n``.
    """
    with open_text(path, encoding=encoding, note=note) as (_, file):
        for chunk in read_chunks(file.read1, _BLOCK_BYTES):
            yield chunk.replace(b"\r\n", b"\n").removesuffix(b"\r").split(b"\n")


def read_chunks(read: Callable[[int], bytes], size: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the data that ``read`` returns in chunks of about ``size`` bytes, cut at line ends.

    The ``\\n`` between two chunks is removed; ``\\r`` stays. :class:`JsonLines` are chunks already.
    """
    parts: list[bytes] = []  # of an incomplete line
    while data := read(size):
        if isinstance(data, JsonLines):
            yield data
            continue
        end = data.rfind(b"\n")
        if end < 0:
            parts.append(data)
            continue
        yield b"".join([*parts, data[:end]])
        parts = [data[end + 1 :]]
    if last := b"".join(parts):
        yield last


def decode(line: bytes) -> str:
    """Return ``line`` as text; bytes that are not UTF-8 become U+FFFD."""
    return line.decode("utf-8", errors="replace")


def is_utf8(text: bytes) -> bool:
    """Return whether all of ``text`` is valid UTF-8."""
    try:
        return text.isascii() or text.decode("utf-8") is not None
    except UnicodeDecodeError:
        return False


def decode_texts(texts: list[bytes]) -> list[str]:
    """Return texts in UTF-8, none of which has a ``\\n``, as ``str``."""
    return b"\n".join(texts).decode("utf-8").split("\n") if texts else []


def file_changed(path: str) -> DataError:
    """Return the error for a file that changed between two reads."""
    return DataError(path, None, "changed while it was read; run again when it is complete")
