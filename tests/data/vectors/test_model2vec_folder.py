"""Folders of model2vec: their words, and vectors of what their tokenizer makes of other pieces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from textrnn.data.word_vectors import open_composer, read_vectors
from textrnn.errors import DataError

pytest.importorskip("tokenizers")

TOKENS = ["[PAD]", "[UNK]", "tea", "pot", "##pot", "##s", "coffee", "주문"]
VALUES = np.arange(16, dtype=np.float32).reshape(8, 2)


def make_folder(folder: Path, *, tokens: list[str] = TOKENS, kind: str = "WordPiece", **tensors: Any) -> str:
    special = [{"id": i, "content": tokens[i], "special": True} for i in range(2)]
    rest = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    ids = {token: i for i, token in enumerate(tokens)}
    model = {"type": kind, "unk_token": "[UNK]", "vocab": ids, "continuing_subword_prefix": "##"}
    if kind == "Unigram":
        model = {"type": kind, "unk_id": 1, "vocab": [[token, -1.0] for token in tokens]}
    lower = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": False, "lowercase": True}
    mark = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    settings = {
        "version": "1.0",
        "added_tokens": [token | rest for token in special],
        "normalizer": lower | {"strip_accents": False} if kind == "WordPiece" else None,
        "pre_tokenizer": {"type": "Whitespace"} if kind == "WordPiece" else mark,
        "model": model | ({"max_input_chars_per_word": 100} if kind == "WordPiece" else {}),
    }
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(settings), encoding="utf-8")
    save_file({"embeddings": VALUES} | tensors, folder / "model.safetensors")
    return str(folder)


def compose(path: str, text: str, *, is_word: bool = True) -> list[float] | None:
    composer = open_composer(path)
    assert composer is not None
    vector = composer.compose(text, is_word=is_word)
    return None if vector is None else vector.tolist()


def test_whole_words_and_what_the_tokenizer_makes_of_others(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "static")
    (block,) = read_vectors(path)
    assert [word.decode() for word in block.words] == ["tea", "pot", "coffee", "주문"]
    assert block.take([0, 3]).tolist() == VALUES[[2, 7]].tolist()
    assert compose(path, "Teapots") == VALUES[[2, 4, 5]].mean(axis=0).tolist()
    assert compose(path, "pot", is_word=False) == VALUES[4].tolist()
    assert compose(path, "coffee", is_word=False) == VALUES[6].tolist()
    assert compose(path, "quince") is None


def test_weights_and_rows_of_tokens(tmp_path: Path) -> None:
    weights = np.linspace(0.5, 4, 8, dtype=np.float64)
    mapping = np.array([0, 0, 1, 1, 2, 2, 3, 3], np.int64)
    path = make_folder(tmp_path / "static", weights=weights, mapping=mapping, embeddings=VALUES[:4].astype(np.float16))
    expected = VALUES[:4].astype(np.float32)[mapping] * weights[:, None]
    (block,) = read_vectors(path)
    np.testing.assert_allclose(block.take([0, 2]), expected[[2, 6]])
    np.testing.assert_allclose(compose(path, "teapot"), expected[[2, 4]].mean(axis=0))


def test_tokens_of_unigram(tmp_path: Path) -> None:
    tokens = ["<pad>", "<unk>", "\u2581tea", "pot", "\u2581pot", "s", "\u2581", "t"]
    path = make_folder(tmp_path / "static", tokens=tokens, kind="Unigram")
    (block,) = read_vectors(path)
    assert [word.decode() for word in block.words if word] == ["tea", "pot"]
    assert compose(path, "teapots") == VALUES[[2, 3, 5]].mean(axis=0).tolist()


def test_a_model_that_model2vec_reads(tmp_path: Path) -> None:
    model2vec = pytest.importorskip("model2vec")
    path = make_folder(tmp_path / "static")
    (tmp_path / "static/config.json").write_text('{"normalize": false}')
    model = model2vec.StaticModel.from_pretrained(path)
    for word in ("tea", "Teapots", "주문"):
        np.testing.assert_allclose(compose(path, word), model.encode(word), rtol=1e-3)


def test_faults(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "static", embeddings=VALUES[:5])
    with pytest.raises(DataError, match="static: has 5 vectors for 8 tokens; copy the folder again"):
        read_vectors(path)
    save_file({"encoder.weight": VALUES}, Path(path, "model.safetensors"))
    with pytest.raises(DataError, match=r"has no static vectors \(embeddings\); make some of a transformer"):
        read_vectors(path)
    make_folder(tmp_path / "static")
    content = Path(path, "model.safetensors").read_bytes()
    Path(path, "model.safetensors").write_bytes(content[:-4])
    with pytest.raises(DataError, match=r"model.safetensors: cannot be read .*; copy the folder again"):
        read_vectors(path)
    make_folder(tmp_path / "static")
    Path(path, "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match=r"tokenizer.json: not a tokenizer"):
        read_vectors(path)
