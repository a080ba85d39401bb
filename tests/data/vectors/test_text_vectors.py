"""Text and arrays: every format gives the same words and numbers, every fault has its line."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

from textrnn.errors import DataError
from vector_files import GLOVE, VALUES, WORDS, read, write

PACKERS: dict[str, Callable[[bytes], bytes]]
PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize(
    "text",
    [
        GLOVE,
        GLOVE[:-1],
        "5 3\n" + GLOVE,
        "5 3\n" + GLOVE.replace("\n", " \n"),  # like fastText
        "\ufeff" + GLOVE.replace("\n", "\r\n"),
        GLOVE.replace(" ", "\t"),
        GLOVE.replace(" ", "  "),
        GLOVE.replace("kettle", "two kettles").replace("\nBoils", "\nkettle -0.625 -0.5 -0.375\nBoils"),
    ],
)
def test_text(text: str, packing: str, tmp_path: Path) -> None:
    path = tmp_path / f"words{packing}"
    path.write_bytes(PACKERS[packing](text.encode()))
    assert read(path) == dict(zip(WORDS, VALUES.tolist(), strict=True))


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2"])
def test_an_array_with_its_vocabulary(dtype: str, tmp_path: Path) -> None:
    path = tmp_path / "words.npy"
    np.save(path, VALUES.astype(dtype))
    write(tmp_path / "words.vocab", "\n".join(WORDS))
    assert read(path) == dict(zip(WORDS, VALUES.tolist(), strict=True))


def test_a_file_of_many_blocks(tmp_path: Path) -> None:
    text = "".join(f"w{i} {i} {-i} 0.5\n" for i in range(100_000))
    found = read(write(tmp_path / "words.txt", text))
    assert len(found) == 100_000
    assert found["w99999"] == [99999, -99999, 0.5]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GLOVE.replace(" 0.25", ""), "4: 2 numbers, but other words have 3"),
        (GLOVE.replace(" 0.25", " 0.25 7"), "4: 4 numbers, but other words have 3"),
        (GLOVE.replace("\nBoils", "\n\nBoils"), "5: 0 numbers, but other words have 3"),
        ("5 3\n" + GLOVE.replace(" 0.25", ""), "5: 2 numbers, but other words have 3"),
        ("5 4\n" + GLOVE, "2: 3 numbers, but other words have 4"),
        (GLOVE.replace(" 0.25", " x.25"), "4: 'x.25' is not a number"),
        (GLOVE.replace(" 0.25", " nan"), "4: 'nan' is not a finite 32-bit number"),
        (GLOVE.replace(" 0.25", " -inf"), "4: '-inf' is not a finite"),
        (GLOVE.replace(" 0.25", " 1e39"), "4: '1e39' is not a finite 32-bit number"),
        ("6 3\n" + GLOVE, "6: truncated: the first line announces 6 words, the file has 5"),
        ("6 3\n", "1: truncated"),
        ("", ": no words"),
        ("the kettle boils\n", "1: not a word and its numbers"),
        ("the\n", "1: not a word and its numbers"),
    ],
)
def test_faults(text: str, fault: str, tmp_path: Path) -> None:
    path = write(tmp_path / "words.txt", text)
    with pytest.raises(DataError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}{'' if fault[0] == ':' else ':'}{fault}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("array", "words", "fault"),
    [
        (VALUES, "\n".join(WORDS[:4]), "words.vocab: 4 words for the 5 rows of "),
        (VALUES, "\n".join([*WORDS, "more"]), "words.vocab: 6 words for the 5 rows of "),
        (VALUES[0], "a", "words.npy: has shape (3,) and dtype float32"),
        (VALUES.astype(np.int64), "a", "words.npy: has shape (5, 3) and dtype int64"),
        (VALUES[:0], "", "words.npy: has shape (0, 3) and dtype float32"),
        (np.array([[{}]]), "a", "words.npy: not a NumPy array"),
        (np.where(VALUES == 0, np.inf, VALUES), "\n".join(WORDS), "words.npy:3: inf is not a finite"),
    ],
)
def test_faults_of_an_array(array: np.ndarray, words: str, fault: str, tmp_path: Path) -> None:
    np.save(tmp_path / "words.npy", array)
    write(tmp_path / "words.vocab", words)
    with pytest.raises(DataError) as raised:
        read(tmp_path / "words.npy")
    assert str(raised.value).startswith(f"{tmp_path}/{fault}")


def test_damaged_arrays_and_vocabularies(tmp_path: Path) -> None:
    path = tmp_path / "words.npy"
    np.save(path, VALUES)
    (tmp_path / "words.vocab").write_bytes("\n".join(WORDS).encode().replace(b"kettle", b"k\xff"))
    with pytest.raises(DataError, match=r"words\.vocab:2: not UTF-8"):
        read(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"words\.npy: not a NumPy array, or truncated"):
        read(path)


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(GLOVE.encode().replace(b"kettle", b"k\xffttle"))
    with pytest.raises(DataError, match=r"words\.txt:2: not UTF-8"):
        read(path)
