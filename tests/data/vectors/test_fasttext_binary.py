"""Binary models of fastText, with the vectors that fastText gives."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textrnn.data.word_vectors import open_composer, read_vectors
from textrnn.errors import DataError

WORDS = ["tea", "coffee", "주문", "käse", "a", "it's", "wörter"]
OTHERS = ["kettle", "käsebrot", "주문했어요", "ㅎㅎ", "x"]
OPTIONS: dict[str, dict[str, Any]] = {
    "skipgram": {"model": "skipgram"},
    "letters": {"model": "cbow", "minn": 1, "maxn": 3},
    "whole words": {"model": "skipgram", "minn": 0, "maxn": 0},
}


@pytest.fixture(scope="module")
def fasttext() -> Any:
    return pytest.importorskip("fasttext")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, draw = tmp_path_factory.mktemp("fasttext") / "text.txt", random.Random(1)
    lines = (f"__label__{i % 2} {' '.join(draw.choices(WORDS, k=9))}\n" for i in range(100))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def train(fasttext: Any, text: Path, **options: Any) -> Any:
    values = {"dim": 8, "epoch": 1, "minCount": 1, "bucket": 500, "thread": 1, "verbose": 0} | options
    if "model" in options:
        return fasttext.train_unsupervised(str(text), **values)
    return fasttext.train_supervised(str(text), **values)


@pytest.mark.parametrize("kind", [*OPTIONS, "supervised"])
def test_vectors_are_those_of_fasttext(kind: str, fasttext: Any, text: Path, tmp_path: Path) -> None:
    model = train(fasttext, text, **OPTIONS.get(kind, {"minn": 2, "maxn": 3, "wordNgrams": 2}))
    path = str(tmp_path / "model.bin")
    model.save_model(path)
    (block,) = read_vectors(path)
    assert [word.decode() for word in block.words] == model.get_words()
    expected = [model.get_word_vector(word) for word in model.get_words()]
    np.testing.assert_allclose(block.take(range(len(expected))), expected, rtol=1e-5, atol=1e-8)
    composer = open_composer(path)
    assert composer is not None
    for word in OTHERS:
        vector, other = composer.compose(word, is_word=True), model.get_word_vector(word)
        assert other.any() == (vector is not None)
        np.testing.assert_allclose(0 if vector is None else vector, other, rtol=1e-5, atol=1e-8)
        assert composer.compose(word, is_word=False) is None


def test_unreadable_models(fasttext: Any, text: Path, tmp_path: Path) -> None:
    model = train(fasttext, text, minn=2, maxn=3)
    path = tmp_path / "model.bin"
    model.save_model(str(path))
    content = path.read_bytes()
    for size in (6, 60, 120, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=r"model\.bin: a model of fastText, but truncated or damaged"):
            read_vectors(str(path))
    path.write_bytes(content[:4] + b"\x07" + content[5:])
    with pytest.raises(DataError, match="a model of fastText in version 7; 11 and 12 are readable"):
        read_vectors(str(path))
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match="a compressed model of fastText; unpack it first"):
        read_vectors(str(path))
    model.quantize(input=str(text), qnorm=False)
    model.save_model(str(path))
    with pytest.raises(DataError, match=r"a quantized model of fastText \(.ftz\) has no readable vectors"):
        read_vectors(str(path))
