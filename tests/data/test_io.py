"""Raw lines: their ends, compressed files, pipes, and damaged data."""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from textrnn.data.io import check_readable, decode, read_blocks, read_file, read_lines
from textrnn.errors import DataError

BLOCK = 1 << 18
BOM = b"\xef\xbb\xbf"


def compress_zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "xz": lzma.compress, "zst": compress_zst}


def write(folder: Path, content: bytes, name: str = "text") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def make_text(lines: int = 3000) -> bytes:
    """Return text that compresses badly."""
    return b"".join(b"%d %d\n" % (i, i * i * 7919 % 1000003) for i in range(lines))


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
    blocks = list(read_blocks(path))
    assert [line for block in blocks for line in block] == lines
    assert all(blocks)
    assert list(read_lines(path)) == lines


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize(("content", "lines"), CASES, ids=CASE_IDS)
def test_lines_of_a_compressed_file(tmp_path: Path, kind: str, content: bytes, lines: list[bytes]) -> None:
    path = write(tmp_path, COMPRESS[kind](content), "no-extension")  # detected by content, not by name
    assert list(read_lines(path)) == lines


@pytest.mark.parametrize("kind", COMPRESS)
def test_an_extension_does_not_make_a_file_compressed(tmp_path: Path, kind: str) -> None:
    assert list(read_lines(write(tmp_path, b"a\nb\n", f"text.{kind}"))) == [b"a", b"b"]


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize(
    "parts", [(b"a\nb", b"c\nd\n"), (b"", b"a\nbc\nd\n"), (b"a\nbc\n", b"", b"d\n"), (b"a\nbc\nd", b"")]
)
def test_concatenated_compressed_files_are_one_text(tmp_path: Path, kind: str, parts: tuple[bytes, ...]) -> None:
    content = b"".join(COMPRESS[kind](part) for part in parts)
    assert list(read_lines(write(tmp_path, content))) == [b"a", b"bc", b"d"]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_skippable_zstd_frames_are_skipped(tmp_path: Path, place: int) -> None:
    frames = [compress_zst(b"a\nb"), compress_zst(b"c\n")]
    frames.insert(place, b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd")  # written by pzstd
    assert list(read_lines(write(tmp_path, b"".join(frames)))) == [b"a", b"bc"]


@pytest.mark.parametrize("kind", COMPRESS)
def test_long_concatenated_parts_are_one_text(tmp_path: Path, kind: str) -> None:
    long = b"x" * (BLOCK + 3)
    content = COMPRESS[kind](b"a\n" + long) + COMPRESS[kind](long + b"\n" + BOM + b"z")
    assert list(read_lines(write(tmp_path, content))) == [b"a", long + long, BOM + b"z"]


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("kept", ["head", "half", "all but a byte", "a part and a half"])
def test_truncated_data_is_an_error(tmp_path: Path, kind: str, kept: str) -> None:
    whole = COMPRESS[kind](make_text())
    cut = {
        "head": whole[:7],
        "half": whole[: len(whole) // 2],
        "all but a byte": whole[:-1],
        "a part and a half": whole + whole[: len(whole) // 2],
    }[kept]
    path = write(tmp_path, cut)
    with pytest.raises(DataError, match=r": compressed data is damaged or truncated \(.+\)") as caught:
        list(read_lines(path))
    assert (caught.value.path, caught.value.line_number) == (path, None)


@pytest.mark.parametrize("kind", COMPRESS)
def test_damaged_data_is_an_error(tmp_path: Path, kind: str) -> None:
    data = bytearray(COMPRESS[kind](make_text()))
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    with pytest.raises(DataError, match="damaged"):
        list(read_lines(write(tmp_path, bytes(data))))


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_trailing_garbage_is_an_error_after_the_lines(tmp_path: Path, kind: str) -> None:
    lines = read_lines(write(tmp_path, COMPRESS[kind](b"a\nb\n") + b"rubbish"))
    assert [next(lines), next(lines)] == [b"a", b"b"]
    with pytest.raises(DataError, match="damaged"):
        next(lines)


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
    ("name", "message"), [("none.txt", "no such file"), (".", "is a folder; name a file"), ("file/x", "no such file")]
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
