"""Raw text, its tokenizer and its encoded lines."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest

from samples import make_config
from teaching import pretraining_config, write_lines
from textrnn.config import Config
from textrnn.data.cache import Cache
from textrnn.errors import DataError
from textrnn.preparation.raw_lines import RawLines, find_texts
from textrnn.reporter import Reporter


def open_raw(path: Path, config: Config, *, cache: Path) -> RawLines:
    cache.mkdir(exist_ok=True)
    return RawLines.open(str(path), config, cache=Cache(cache), reporter=Reporter())


def test_each_line_is_encoded_under_its_index(tmp_path: Path) -> None:
    lines, config = write_lines(tmp_path / "raw.txt"), pretraining_config()
    raw = open_raw(tmp_path / "raw.txt", config, cache=tmp_path / "cache")
    assert raw.count_lines() == len(lines)
    tokenizer = raw.fit_tokenizer(config)
    corpus = raw.encode(tokenizer, config)
    batch = corpus.select(np.array([7, 3]))
    assert batch.classes.tolist() == [7, 3]
    assert batch.ids.tolist() == [*tokenizer.encode_ids(lines[7]), *tokenizer.encode_ids(lines[3])]
    assert find_texts(corpus, tokenizer).tolist() == [row for row, line in enumerate(lines) if line]


def test_an_entry_of_the_cache_is_read_again_until_the_file_changes(tmp_path: Path) -> None:
    path, config = tmp_path / "raw.txt", pretraining_config()
    lines = write_lines(path)
    for count in (len(lines), len(lines), len(lines) + 1):
        if count > len(lines):
            path.write_text(path.read_text("utf-8") + "one more tea\n", "utf-8")
        raw = open_raw(path, config, cache=tmp_path / "cache")
        assert len(raw.encode(raw.fit_tokenizer(config), config)) == count
    assert len([*(tmp_path / "cache").glob("tokenizer-*")]) == 2


def test_compressed_text_in_another_encoding_is_read(tmp_path: Path) -> None:
    (tmp_path / "raw.txt.xz").write_bytes(lzma.compress("홍차 주세요\n커피\n".encode("cp949")))
    raw = open_raw(tmp_path / "raw.txt.xz", make_config(data__encoding="cp949"), cache=tmp_path / "cache")
    assert [line for lines in raw.read() for line in lines] == ["홍차 주세요", "커피"]


@pytest.mark.parametrize("content", [b"", b"\n \n\n"])
def test_text_without_words_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "raw.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"raw\.txt: has no text"):
        open_raw(tmp_path / "raw.txt", make_config(), cache=tmp_path / "cache").count_lines()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder"):
        open_raw(tmp_path, make_config(), cache=tmp_path / "cache")
