"""Compressed files: detection, several parts, damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from packing import COMPRESS, compress_zst, read_lines, write
from textrnn.errors import DataError

BLOCK = 1 << 18
BOM = b"\xef\xbb\xbf"


def make_text(lines: int = 3000) -> bytes:
    """Return text that compresses badly."""
    return b"".join(b"%d %d\n" % (i, i * i * 7919 % 1000003) for i in range(lines))


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
        "head": whole[:11],
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
