"""Files of word vectors: every format gives the same words and numbers, every fault has its line."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

from textrnn.data.cache import Cache
from textrnn.data.word_vectors import check_vectors, digest_vectors, read_vectors
from textrnn.errors import DataError

WORDS = ["the", "kettle", "주문", "!", "Boils"]
VALUES = np.arange(15, dtype=np.float32).reshape(5, 3) / 8 - 1
LINES = [f"{word} {' '.join(map(str, row))}" for word, row in zip(WORDS, VALUES.tolist(), strict=True)]
GLOVE = "\n".join(LINES) + "\n"
PACKERS: dict[str, Callable[[bytes], bytes]]
PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}


def read(path: Path) -> dict[str, list[float]]:
    found = {}
    for block in read_vectors(str(path)):
        rows = [row for row, word in enumerate(block.words) if word]
        for row, vector in zip(rows, block.take(rows), strict=True):
            assert vector.dtype == np.float32
            found[block.words[row].decode()] = vector.tolist()
    return found


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


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


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(GLOVE.encode().replace(b"kettle", b"k\xffttle"))
    with pytest.raises(DataError, match=r"words\.txt:2: not UTF-8"):
        read(path)
    path.write_bytes(b"\xba\x16\x4f\x2f\x0c\x00")
    with pytest.raises(DataError, match=r"words\.txt: a fastText model, not text"):
        read(path)


def test_only_the_requested_numbers_are_parsed(tmp_path: Path) -> None:
    (block,) = read_vectors(str(write(tmp_path / "words.txt", GLOVE.replace(" 0.25", " x"))))
    assert block.take([0, 4]).tolist() == VALUES[[0, 4]].tolist()
    assert block.take([]).shape == (0, 3)


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


def test_missing_files_and_pipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"words\.txt: no such file"):
        check_vectors(str(tmp_path / "words.txt"))
    np.save(tmp_path / "words.npy", VALUES)
    with pytest.raises(DataError, match=r"words\.vocab: no such file"):
        check_vectors(str(tmp_path / "words.npy"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: is a pipe"):
        check_vectors(str(tmp_path / "pipe"))


def test_the_digest_depends_on_the_content(tmp_path: Path, cache: Cache) -> None:
    one, other = (write(tmp_path / f"{name}.txt", GLOVE) for name in "ab")
    first = digest_vectors(str(one), cache)
    assert digest_vectors(str(other), cache) == first
    write(other, GLOVE.replace(" 0.25", " 0.26"))
    assert digest_vectors(str(other), cache) != first
    np.save(tmp_path / "words.npy", VALUES)
    write(tmp_path / "words.vocab", "\n".join(WORDS))
    both = digest_vectors(str(tmp_path / "words.npy"), cache)
    write(tmp_path / "words.vocab", "\n".join(WORDS[::-1]))
    again = digest_vectors(str(tmp_path / "words.npy"), cache)
    assert (both[0] == again[0], both[1] == again[1]) == (True, False)


def test_a_digest_is_kept_in_the_cache(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "words.txt", GLOVE)
    monkeypatch.setattr("textrnn.data.word_vectors.SETTLED_NS", -(10**12))
    first = digest_vectors(str(path), cache)
    assert cache.get_digest(path) == first[0]
    assert digest_vectors(str(path), cache) == first
