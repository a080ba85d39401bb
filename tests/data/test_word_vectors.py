"""Word vectors of any format: the content tells it, and the digest depends on it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from textrnn.data.cache import Cache
from textrnn.data.word_vectors import check_vectors, digest_vectors, open_composer, read_vectors
from textrnn.errors import DataError
from vector_files import GLOVE, VALUES, WORDS, read, write


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


def test_only_formats_with_parts_of_words_compose(tmp_path: Path) -> None:
    assert open_composer(str(write(tmp_path / "words.txt", GLOVE))) is None
    np.save(tmp_path / "words.npy", VALUES)
    assert open_composer(str(tmp_path / "words.npy")) is None


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a folder without model.safetensors; name a file of word vectors, or a fold"):
        check_vectors(str(tmp_path))
    write(tmp_path / "model.safetensors", "")
    with pytest.raises(DataError, match=r"a folder without tokenizer.json"):
        read_vectors(str(tmp_path))


def test_damaged_compression_is_reported(tmp_path: Path) -> None:
    (tmp_path / "words.gz").write_bytes(b"\x1f\x8b\x08 no gzip")
    with pytest.raises(DataError, match="compressed data is damaged"):
        read(tmp_path / "words.gz")
