"""Vectors of texts and their neighbors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samples import SENTENCES
from textrnn.inference.engine import Engine
from textrnn.models.calibration import mix
from textrnn.pipeline.records import Record
from textrnn.pipeline.vectors import VectorWriter, find_neighbors, open_npy


def test_the_output_layer_makes_logits_of_the_vectors(engine: Engine) -> None:
    vectors = engine.embed(SENTENCES, threads=2)
    assert (vectors.shape, vectors.dtype) == ((len(SENTENCES), engine.width), np.float32)
    weights = engine.model.weights
    logits = vectors @ weights["head.weight"].T + weights["head.bias"]
    if engine.has_ngrams:
        assert engine.model.ngrams is not None
        logits = mix(logits, np.zeros_like(logits), engine.model.ngram_share)
    np.testing.assert_allclose(engine.predict_logits(SENTENCES), logits, atol=1e-4)


def test_a_vector_does_not_depend_on_the_other_texts(engine: Engine) -> None:
    alone = np.concatenate([engine.embed([text]) for text in SENTENCES])
    np.testing.assert_allclose(engine.embed(SENTENCES), alone, atol=1e-6)


def test_lines_hold_the_numbers(engine: Engine) -> None:
    header = Record(b"id", None)
    chunk = VectorWriter(engine)([header, *(Record(text.encode(), text) for text in SENTENCES)], 1)
    assert (chunk.records, chunk.kept) == (len(SENTENCES),) * 2
    read = np.array([line.split(b" ") for line in chunk.data.splitlines()], np.float32)
    np.testing.assert_allclose(read, engine.embed(SENTENCES), rtol=1e-5)
    assert VectorWriter(engine)([header], 1).data == b""


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_a_file_of_numpy_is_written_in_parts(tmp_path: Path, rows: int) -> None:
    expected = np.random.default_rng(1).standard_normal((rows, 6)).astype(np.float32)
    with open_npy(tmp_path / "x.npy", 6) as write:
        for start in range(0, rows, 300):
            write(expected[start : start + 300].tobytes())
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected)


def test_neighbors_have_the_highest_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(2).standard_normal((1500, 5)).astype(np.float32)
    vectors[7] = 0  # a text without a direction is similar to none
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    monkeypatch.setattr("textrnn.pipeline.vectors._SIMILARITIES", 1_500_000)  # 1,000 rows at once
    found = list(find_neighbors(vectors, 3))
    for row in (0, 7, 999, 1000, 1499):
        cosines = np.delete(unit @ unit[row], row)
        assert row not in [other for other, _ in found[row]]
        np.testing.assert_allclose([c for _, c in found[row]], np.sort(cosines)[::-1][:3], atol=1e-5)
    assert [len(row) for row in find_neighbors(vectors[:2], 3)] == [1, 1]
    assert list(find_neighbors(vectors[:1], 3)) == [[]]
