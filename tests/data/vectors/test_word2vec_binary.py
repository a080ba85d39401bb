"""Binary files of word2vec: with and without line ends, compressed, truncated, and not mistaken for text."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from textrnn.data.vectors.word2vec_binary import is_word2vec
from textrnn.errors import DataError
from vector_files import GLOVE, VALUES, WORDS, read

ENTRIES = [word.encode() + b" " + row.tobytes() for word, row in zip(WORDS, VALUES, strict=True)]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_words_and_numbers(end: bytes, tmp_path: Path) -> None:
    content = b"5 3\n" + b"".join(entry + end for entry in ENTRIES)
    for name, data in (("words.bin", content), ("words.bin.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(data)
        assert read(tmp_path / name) == dict(zip(WORDS, VALUES.tolist(), strict=True))


def test_many_words(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(9000, 50)).astype("<f4")
    entries = b"".join(f"w{i} ".encode() + row.tobytes() for i, row in enumerate(values))
    (tmp_path / "words.bin").write_bytes(b"9000 50\n" + entries)
    found = read(tmp_path / "words.bin")
    assert list(found) == [f"w{i}" for i in range(9000)]
    assert found["w8999"] == values[-1].tolist()


def test_words_that_are_not_utf_8_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "words.bin").write_bytes(b"6 3\n" + b"\xff\xfe " + VALUES[0].tobytes() + b"".join(ENTRIES))
    assert list(read(tmp_path / "words.bin")) == WORDS


@pytest.mark.parametrize(
    ("counts", "cut"), [(b"5 3", 1), (b"5 3", 20), (b"6 3", None), (b"4 3", None), (b"5 2", None), (b"5 4", None)]
)
def test_a_truncated_file_and_wrong_counts(counts: bytes, cut: int | None, tmp_path: Path) -> None:
    (tmp_path / "words.bin").write_bytes(counts + b"\n" + b"".join(ENTRIES)[: cut and -cut])
    with pytest.raises(
        DataError, match=r"words.bin: truncated or damaged: its first line announces \d words of \d num"
    ):
        read(tmp_path / "words.bin")


def test_a_number_that_is_not_finite_has_its_row(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[2, 1] = np.nan
    entries = (word.encode() + b" " + row.tobytes() for word, row in zip(WORDS, values, strict=True))
    (tmp_path / "words.bin").write_bytes(b"5 3\n" + b"".join(entries))
    with pytest.raises(DataError, match=r"words.bin:3: nan is not a finite 32-bit number"):
        read(tmp_path / "words.bin")


@pytest.mark.parametrize("text", [GLOVE, f"5 3\n{GLOVE}", "1 2\ntwo kettles 0.5 7\n", "5 3\n", "주 3\n주 1 2 3\n", ""])
def test_text_is_not_mistaken_for_it(text: str) -> None:
    assert not is_word2vec(text.encode())
