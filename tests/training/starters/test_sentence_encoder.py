"""Embeddings of raw text by sentence-transformers, which a small stand-in replaces here."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from teaching import embed, pretraining_config, write_lines
from textrnn.data.cache import Cache
from textrnn.errors import ConfigError, ModelError
from textrnn.preparation.raw_lines import RawLines
from textrnn.preparation.teacher_embeddings import TeacherEmbeddings
from textrnn.reporter import Reporter
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.training.starters.sentence_encoder import SentenceEncoder


class Transformer:
    """Embeds lines as :func:`teaching.embed` does, and counts them."""

    lines = 0

    def __init__(self, folder: str, device: str) -> None:
        if "broken" in folder:
            raise OSError("no file named model.safetensors\nin it")

    def encode(self, lines: list[str], **_: Any) -> Any:
        type(self).lines += len(lines)
        return embed(lines)


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RawLines:
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = Transformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setattr(Transformer, "lines", 0)
    write_lines(tmp_path / "raw.txt")
    (tmp_path / "cache").mkdir()
    path = str(tmp_path / "raw.txt")
    return RawLines.open(path, pretraining_config(), cache=Cache(tmp_path / "cache"), reporter=Reporter())


def make_folder(path: Path) -> Path:
    path.mkdir()
    (path / "config.json").write_text("{}")
    return path


def embed_lines(raw: RawLines, folder: Path) -> TeacherEmbeddings:
    return SentenceEncoder(folder, raw.cache, device="cpu", is_bf16=False).embed_lines(raw)


def test_embeddings_are_cached_until_the_model_changes(raw: RawLines, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "teacher")
    lines = [line for part in raw.read() for line in part]
    for computed in (1, 1, 2):
        if computed == 2:
            (folder / "config.json").write_text('{"other": 1}')
        teacher = embed_lines(raw, folder)
        assert Transformer.lines == computed * len(lines)
        np.testing.assert_allclose(teacher.values, embed(lines), atol=1e-2)
    assert teacher.values.dtype == np.float16


def test_pieces_are_embedded_as_texts(raw: RawLines, tmp_path: Path, tokenizer: Tokenizer) -> None:
    teacher = SentenceEncoder(make_folder(tmp_path / "teacher"), raw.cache, device="cpu", is_bf16=False)
    vectors = teacher.embed_pieces(tokenizer, width=4)
    assert vectors.pieces.tolist() == [*tokenizer.list_pieces()]
    assert vectors.values.shape == (len(vectors.pieces), 4)
    assert vectors.width == 4


def test_a_folder_without_a_model_is_refused(raw: RawLines, tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(ModelError, match=r"no model of sentence-transformers"):
            embed_lines(raw, folder)


def test_a_model_that_cannot_be_loaded_is_refused(raw: RawLines, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot load it \(no file named model\.safetensors\)"):
        embed_lines(raw, make_folder(tmp_path / "broken"))


def test_the_package_has_to_be_installed(raw: RawLines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match=r"pip install 'textrnn\[teacher\]'"):
        embed_lines(raw, make_folder(tmp_path / "teacher"))
