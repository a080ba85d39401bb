"""Raw lines: their ends, compressed files, pipes, and damaged data."""

from __future__ import annotations

import contextlib
import io
import os
import random
import select
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from packing import COMPRESS, read_lines, write
from textrnn.data.reading.io import (
    TextFile,
    check_readable,
    decode,
    open_text,
    read_blocks,
    read_chunks,
    read_file,
)
from textrnn.errors import DataError

BLOCK = 1 << 18
BOM = b"\xef\xbb\xbf"


@contextlib.contextmanager
def pipe_end(descriptor: int) -> Iterator[Callable[[bytes], object]]:
    """Yield a function that writes to the pipe; close the pipe at the end, or after 30 seconds if a reader hangs."""
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        guard = threading.Timer(30, file.close)
        guard.start()
        try:
            yield file.write
        finally:
            guard.cancel()
            guard.join()


CASES: list[tuple[bytes, list[bytes]]] = [
    (b"", []),
    (b"\n", [b""]),
    (b"\n\n", [b"", b""]),
    (b"a", [b"a"]),
    (b"a\n", [b"a"]),
    (b"a\nb", [b"a", b"b"]),
    (b"a\n\nb\n", [b"a", b"", b"b"]),
    (b" a \n\tb\t\n", [b" a ", b"\tb\t"]),
    # CRLF, and a CR inside a line
    (b"a\r\nb\r\n", [b"a", b"b"]),
    (b"a\r\nb\nc\r", [b"a", b"b", b"c"]),
    (b"a\rb\nc\r\r\n", [b"a\rb", b"c\r"]),
    (b"\r\n\r\n", [b"", b""]),
    (b"\ra\n", [b"\ra"]),
    # a byte-order mark at the very start only
    (BOM + b"a\nb\n", [b"a", b"b"]),
    (BOM + b"a", [b"a"]),
    (BOM + b"\r\nb", [b"", b"b"]),
    (BOM, []),
    (BOM + BOM + b"a\n", [BOM + b"a"]),
    (b"a\n" + BOM + b"b\n", [b"a", BOM + b"b"]),
    (b"a" + BOM + b"\n", [b"a" + BOM]),
    # other characters that end lines elsewhere
    ("a\u2028b\u2029c\x85d\n".encode(), ["a\u2028b\u2029c\x85d".encode()]),
    (b"a\x0bb\x0cc\x1cd\x1ee\n", [b"a\x0bb\x0cc\x1cd\x1ee"]),
    (b"a\x00b\n\x00\n", [b"a\x00b", b"\x00"]),
    (b"\xff\xc3\n\xed\xa0\x80", [b"\xff\xc3", b"\xed\xa0\x80"]),
    # the start of a magic number
    (b"\x1f\n", [b"\x1f"]),
    (b"\x28\xb5\n", [b"\x28\xb5"]),
    (b"\xfd7zXZ\n", [b"\xfd7zXZ"]),
    # lines longer than a block, and line ends at its edges
    (b"x" * (BLOCK * 2 + 5) + b"\nend\n", [b"x" * (BLOCK * 2 + 5), b"end"]),
    (b"x" * (BLOCK * 3), [b"x" * (BLOCK * 3)]),
    (b"x" * (BLOCK - 1) + b"\ny\n", [b"x" * (BLOCK - 1), b"y"]),
    (b"x" * BLOCK + b"\ny\n", [b"x" * BLOCK, b"y"]),
    (b"x" * (BLOCK - 1) + b"\r\ny\n", [b"x" * (BLOCK - 1), b"y"]),
    (b"x" * (BLOCK - 1) + b"\ry\r\nz", [b"x" * (BLOCK - 1) + b"\ry", b"z"]),
    (b"x" * (BLOCK - 1) + "한".encode() + b"\n", [b"x" * (BLOCK - 1) + "한".encode()]),
    (b"x" * (BLOCK - 1) + b"\n" + BOM + b"y\n", [b"x" * (BLOCK - 1), BOM + b"y"]),
    (BOM + b"x" * BLOCK + b"\n" + BOM + b"y", [b"x" * BLOCK, BOM + b"y"]),
]
CASE_IDS = [f"{case[0][:12]!r}-{len(case[0])}" for case in CASES]


@pytest.mark.parametrize(("content", "lines"), CASES, ids=CASE_IDS)
def test_lines(tmp_path: Path, content: bytes, lines: list[bytes]) -> None:
    path = write(tmp_path, content)
    blocks = list(read_blocks(path, encoding="utf-8"))
    assert [line for block in blocks for line in block] == lines
    assert all(blocks)
    assert list(read_lines(path, encoding="utf-8")) == lines


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize(("content", "lines"), CASES, ids=CASE_IDS)
def test_lines_of_a_compressed_file(tmp_path: Path, kind: str, content: bytes, lines: list[bytes]) -> None:
    path = write(tmp_path, COMPRESS[kind](content), "no-extension")  # detected by content, not by name
    assert list(read_lines(path, encoding="utf-8")) == lines


def give_stdin(monkeypatch: pytest.MonkeyPatch, folder: Path, content: bytes) -> io.TextIOWrapper:
    stdin = Path(write(folder, content, "stdin")).open(encoding="utf-8")  # noqa: SIM115 - it has to stay open
    monkeypatch.setattr(sys, "stdin", stdin)
    return stdin


@pytest.mark.parametrize("kind", ["plain", *COMPRESS])
def test_standard_input_is_read_and_stays_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    content = BOM + b"a\r\nb\x00\n\nc"
    stdin = give_stdin(monkeypatch, tmp_path, COMPRESS[kind](content) if kind != "plain" else content)
    check_readable("-")
    assert list(read_lines("-")) == [b"a", b"b\x00", b"", b"c"]
    assert not stdin.buffer.closed
    if kind != "plain":
        give_stdin(monkeypatch, tmp_path, COMPRESS[kind](content)[:-5])
        with pytest.raises(DataError, match=r"^standard input: .*damaged"):
            list(read_lines("-"))


def test_a_file_is_closed_at_the_end(tmp_path: Path) -> None:
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    assert list(read_file(write(tmp_path, b"a\n"))) == [b"a"]
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


@pytest.mark.parametrize("source", ["path", "standard input"])
def test_a_line_is_returned_before_the_writer_finishes(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file, pipe_end(writer) as send:
        if source == "standard input":
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        blocks = read_blocks(f"/dev/fd/{reader}" if source == "path" else "-")
        send(BOM + b"a\nb\nbegin")
        assert next(blocks) == [b"a", b"b"]
        send(b"ning\r\n")
        assert next(blocks) == [b"beginning"]
        send(b"\n")
        assert next(blocks) == [b""]
        send(b"x\n" + BOM + b"y\n")
        assert next(blocks) == [b"x", BOM + b"y"]


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_line_that_arrives_in_pieces_is_joined(cut: int) -> None:
    content = BOM + "한 줄\r\nx\r".encode()
    pieces = [content[start : start + cut] for start in range(0, len(content), cut)]
    assert read_trickle(pieces) == ["한 줄".encode(), b"x"]


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("first", [1, 3, 7])
def test_a_compressed_pipe_is_detected_from_a_few_bytes(kind: str, first: int) -> None:
    data = COMPRESS[kind](b"a\nb\n")
    assert read_trickle([data[:first], data[first:]]) == [b"a", b"b"]


def read_trickle(pieces: list[bytes]) -> list[bytes]:
    """Return the lines of a pipe; each piece is written after the reader took the one before."""
    reader, writer = os.pipe()
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.extend(read_lines(f"/dev/fd/{reader}")))
    with os.fdopen(reader, "rb"):
        with pipe_end(writer) as send:
            thread.start()
            for piece in pieces:
                send(piece)
                while thread.is_alive() and select.select([reader], [], [], 0)[0]:
                    thread.join(0.001)
        thread.join()
    return got


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_checking_a_named_pipe_reads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    faults: list[OSError] = []

    def send() -> None:
        try:
            path.write_bytes(b"a\nb\n")
        except OSError as error:
            faults.append(error)

    got: list[bytes] = []
    writer = threading.Thread(target=send, daemon=True)
    reader = threading.Thread(target=lambda: got.extend(read_lines(str(path))), daemon=True)
    writer.start()
    check_readable(str(path))
    writer.join(0.5)  # it finishes here only if its bytes were lost
    reader.start()
    reader.join(5)
    while reader.is_alive():  # it waits for a writer that is gone
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        reader.join(0.05)
    assert (got, faults) == ([b"a", b"b"], [])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.txt", "no such file"),
        (".", "is a folder without files in .parquet, .arrow or .feather; name a file"),
        ("file/x", "no such file"),
    ],
)
def test_a_file_that_cannot_be_opened_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, b"a\n", "file")
    for attempt in (check_readable, lambda path: list(read_lines(path))):
        with pytest.raises(DataError) as caught:
            attempt(name)
        assert str(caught.value) == f"{name}: {message}"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", ""),
        ("가\u2028é😀\x00".encode(), "가\u2028é😀\x00"),
        (b"a\xffb", "a\ufffdb"),
        (b"a\xc3", "a\ufffd"),
        (b"\xf0\x9f\x98b", "\ufffdb"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
    ],
)
def test_invalid_utf8_is_decoded_with_replacement(line: bytes, text: str) -> None:
    assert decode(line) == text


@pytest.mark.parametrize("content", [b"", b"\n", b"a", b"a\n", b"a\n\nb", b"\n\n", b"a\nb\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_chunks_hold_whole_lines(content: bytes, size: int) -> None:
    chunks = list(read_chunks(io.BytesIO(content).read, size))
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    assert [line for chunk in chunks for line in chunk.split(b"\n")] == lines


class Trickle(io.BytesIO):
    """A file that returns at most ``size`` bytes a read."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self._size = size

    def read(self, size: int | None = -1) -> bytes:
        del size
        return super().read(self._size)

    read1 = read


ENCODED = {
    "utf-8": "한국어 문장 é 😀\r\n\n\u2028x\n",
    "utf-16": "한국어 abc 😀\r\n\nx\n",
    "utf-16-be": "한국어 abc 😀\r\n\nx\n",
    "utf-32": "한국어 abc\n",
    "cp949": "한국어 문장 똠 abc\r\n\nx\n",
    "cp932": "日本語の文 abc\r\n\nx\n",
    "euc_jp": "日本語の文 abc\n",
    "gb18030": "中文 句子 abc 𠀀\n",
    "big5": "中文 句子 abc\n",
    "cp1252": "café über\n",
    "koi8_r": "Привет, мир\n",
}


def damage(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with bytes that are wrong or missing, perhaps cut at the end."""
    content = bytearray(data)
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(content))
        if rng.random() < 0.5:
            content[place] = rng.randrange(128, 256)
        elif content[place] != 10:  # a line end tells how much to read before the encoding is looked for
            del content[place]
    return bytes(content[: rng.randrange(1, len(content))] if rng.random() < 0.2 else content)


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("seed", range(12))
def test_text_does_not_depend_on_the_size_of_reads_and_can_be_written_back(encoding: str, seed: int) -> None:
    rng = random.Random(seed)
    content = (ENCODED[encoding] * rng.randrange(1, 9)).encode(encoding)
    content = damage(content, rng) if seed % 3 else content
    files = [TextFile("f", Trickle(content, size), encoding=encoding) for size in (1, 2, 3, 7, 1 << 20)]
    texts = [b"".join(iter(lambda file=file: file.read(1 << 10), b"")) for file in files]  # type: ignore[misc]
    if seed % 3 == 0:
        assert texts[0].decode() == content.decode(encoding)
    assert set(texts) == {texts[0]}
    back = files[0].mark + files[0].encode(texts[0])
    # some characters of Japanese have two codes in cp932
    assert back == content or (
        encoding == "cp932"
        and seed % 3
        and back.decode(encoding, "surrogateescape") == texts[0].decode("utf-8", "surrogatepass")
    )


@pytest.mark.parametrize("size", [1, 2, 5, 1 << 20])
@pytest.mark.parametrize(
    ("content", "text", "encoding", "notes"),
    [
        ("한글 abc\n".encode(), "한글 abc\n", "utf-8", 0),
        (BOM + b"a\n", "a\n", "utf-8", 0),
        ("한글 abc\nx".encode("utf-16"), "한글 abc\nx", "utf-16-le", 1),
        ("\ufeff한글 abc\nx".encode("utf-16-be"), "한글 abc\nx", "utf-16-be", 1),
        ("\ufeffabc\n".encode("utf-32-be"), "abc\n", "utf-32-be", 1),
        ("배송이 늦어요 환불 부탁드립니다\n".encode("cp949"), "배송이 늦어요 환불 부탁드립니다\n", "cp949", 1),
        (b"one\rtwo\rthree", "one\ntwo\nthree", "utf-8", 1),
        (b"one\rtwo\n", "one\rtwo\n", "utf-8", 0),
        (b"one\r", "one\r", "utf-8", 0),
        (b"ok\n" * 50 + b"\xff\n", "ok\n" * 50 + "\udcff\n", "utf-8", 0),  # a stray byte is damage
    ],
)
def test_the_encoding_is_detected(size: int, content: bytes, text: str, encoding: str, notes: int) -> None:
    noted: list[str] = []
    file = TextFile("f", Trickle(content, max(size, 400)), note=noted.append)
    read = b"".join(iter(lambda: file.read(size), b""))
    assert read.decode("utf-8", "surrogateescape") == text
    assert (file.encoding, len(noted)) == (encoding, notes)


def test_text_too_short_to_detect_its_encoding_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "환불".encode("cp949"))
    with pytest.raises(DataError, match=r"data\.encoding"):
        list(read_file(path))
    assert list(read_file(path, encoding="cp949")) == ["환불".encode()]
    assert list(read_file(path, encoding="utf-8")) == ["환불".encode("cp949")]


def test_files_of_no_text_are_refused_and_the_raw_file_shows_the_progress(tmp_path: Path) -> None:
    for kind in ("plain", *COMPRESS):
        content = b"PAR1" + bytes(range(200))
        path = write(tmp_path, content if kind == "plain" else COMPRESS[kind](content), kind)
        with pytest.raises(DataError, match="a Parquet file, not text"):
            list(read_file(path))
    path = write(tmp_path, COMPRESS["gz"](b"a\n" * 10_000))
    with open_text(path) as (raw, text):
        while text.read(1 << 16):
            pass
        assert raw.tell() == Path(path).stat().st_size


@pytest.mark.parametrize("encoding", ["cp949", "cp1252", "utf-16-le"])
def test_a_character_that_an_encoding_lacks_is_an_error(encoding: str) -> None:
    file = TextFile("f", Trickle("abc\n".encode(encoding), 1 << 10), encoding=encoding)
    assert file.encode(b"abc").decode(encoding) == "abc"
    if encoding != "utf-16-le":
        with pytest.raises(DataError, match=f"f: '😀' .* {encoding}"):
            file.encode("😀".encode())


def test_a_return_in_a_long_first_line_ends_no_line(tmp_path: Path) -> None:
    path = write(tmp_path, b"x" * BLOCK * 2 + b"\ry\r\nz\r\n")
    assert list(read_lines(path)) == [b"x" * BLOCK * 2 + b"\ry", b"z"]


def test_an_encoding_that_shows_late_is_named_not_guessed(tmp_path: Path) -> None:
    english = b"where is it\n" * (BLOCK * 4 // 12)
    korean = "배송이 너무 늦어요 정말\n".encode("cp949")
    path = write(tmp_path, english[: BLOCK * 4 - 20 - len(korean)] + b"\n" + korean * 3000)
    with pytest.raises(DataError, match=r"data\.encoding=cp949"):
        list(read_lines(path))
    assert len(list(read_lines(path, encoding="cp949"))) > 3000
