"""Pretrained vectors: the pieces that take them, their scale, and frozen rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from samples import Recorder, small_config
from textrnn.config import Config
from textrnn.data.cache import Cache
from textrnn.data.vectors.word_block import WordBlock
from textrnn.data.word_vectors import read_vectors
from textrnn.errors import DataError, ModelError, StoppedError
from textrnn.models.classifier import Classifier
from textrnn.preparation import pretrained_vectors
from textrnn.preparation.pretrained_vectors import FrozenRows, PieceVectors, load_vectors, match_words, standardize
from textrnn.serialization.model_file import MODEL_NAME, load_model
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.training.dry_run import dry_run
from textrnn.training.train import resume, train

TEXT = ["green tea with lemon", "black coffee with milk", "please", "now", "today", "again", "at noon", "!", "7"]
RUN = Path("run")


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    """A tokenizer whose pieces are words."""
    lines = [line.encode() for line in TEXT * 3]
    return train_tokenizer(lines, model_type="word", hard_vocab_limit=False).tokenizer


def write_vectors(path: Path, words: Iterable[str], *, width: int = 6, seed: int = 0) -> Path:
    numbers = np.random.default_rng(seed).normal(3, 7, (100, width))
    lines = [f"{word} {' '.join(f'{x:.4f}' for x in row)}\n" for word, row in zip(words, numbers, strict=False)]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def configure(rows: Path, vectors: Path, **values: object) -> Config:
    defaults = {"tokenizer__model_type": "word", "embedding__vectors": str(vectors), "train__epochs": 3}
    return small_config(rows, **(defaults | values))


def blocks(*parts: list[str]) -> list[WordBlock]:
    """Return blocks of words; the vector of a word holds its index among all, twice."""
    number, result = 0, []
    for part in parts:
        values = np.repeat(np.arange(number, number + len(part), dtype=np.float32)[:, None], 2, axis=1)
        result.append(WordBlock([word.encode() for word in part], "a file", number + 1, 2, values))
        number += len(part)
    return result


def match(file: list[WordBlock], words: dict[int, str]) -> tuple[dict[int, float], int]:
    pieces, vectors, count = match_words(file, words)
    return dict(zip(pieces.tolist(), vectors[:, 0].tolist(), strict=True)), count


def test_a_piece_matches_the_same_word_or_its_lower_case() -> None:
    file = blocks(["us", "US", "How"], ["how", "tea"])
    assert match(file, {5: "US", 6: "us", 7: "Us", 8: "How", 9: "HOW", 3: "coffee"}) == (
        {5: 1.0, 6: 0.0, 7: 0.0, 8: 2.0, 9: 3.0},
        5,
    )


def test_the_first_of_equal_words_counts() -> None:
    assert match(blocks(["tea", "the", "tea"], ["tea"]), {1: "tea", 2: "Tea"}) == ({1: 0.0, 2: 0.0}, 4)
    assert match(blocks(["tea", "Tea"], ["Tea"]), {2: "Tea"}) == ({2: 1.0}, 3)


def test_words_among_the_pieces(tokenizer: Tokenizer, words: Tokenizer) -> None:
    pieces = tokenizer.list_pieces()
    listed = tokenizer.list_words()
    assert len(pieces) == len(tokenizer) - 3  # unknown, begin, end
    for piece, text in pieces.items():
        bare = text.strip("\u2581")
        is_word = bool(bare) and (text.startswith("\u2581") or not bare.isalpha())
        assert listed.get(piece) == (bare if is_word else None)
    assert set(words.list_words().values()) == {word for line in TEXT for word in line.split()}


@pytest.mark.parametrize(("wide", "width"), [(6, 16), (6, 6), (6, 4), (6, 1)])
def test_vectors_get_the_scale_of_new_embeddings(wide: int, width: int) -> None:
    drawn = np.random.default_rng(1).normal(5, [1, 2, 3, 4, 5, 40], (200, wide)).astype(np.float32)
    standard = standardize(drawn, width)
    assert standard.shape == (200, min(wide, width))
    assert standard.dtype == np.float32
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-5)
    assert standard.std() == pytest.approx(1, rel=1e-5)
    if width >= wide:
        np.testing.assert_allclose(standard.std(axis=0), 1, rtol=1e-5)
        np.testing.assert_allclose(standard, (drawn - drawn.mean(0)) / drawn.std(0), atol=1e-5)


def test_principal_components_keep_most_of_the_variance() -> None:
    rng = np.random.default_rng(2)
    hidden = rng.normal(size=(300, 2))
    drawn = (hidden @ rng.normal(size=(2, 8)) + 0.01 * rng.normal(size=(300, 8))).astype(np.float32)
    standard = standardize(drawn, 2)
    full = (drawn - drawn.mean(0)) / drawn.std(0)
    fitted = standard @ np.linalg.lstsq(standard, full, rcond=None)[0]
    assert np.square(full - fitted).mean() < 1e-3


def test_constant_columns_stay_finite() -> None:
    assert standardize(np.full((1, 4), 3, np.float32), 8).tolist() == [[0, 0, 0, 0]]
    assert standardize(np.full((5, 4), 3, np.float32), 2).tolist() == [[0, 0]] * 5


@pytest.fixture
def vectors(rows: Path) -> Path:
    """A file of word vectors, some of them for words of rows.tsv."""
    return write_vectors(rows.with_name("words.txt"), ["tea", "coffee", "lemon", "cup", "milk"])


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache.open(str(tmp_path / "cache"), pytest.fail)


def test_matched_vectors_are_cached(
    words: Tokenizer, cache: Cache, vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_vectors(str(vectors), words, cache, width=4)
    listed = words.list_words()
    matched = [piece for piece in sorted(listed) if listed[piece] in ("tea", "coffee", "lemon", "milk")]
    assert first.pieces.tolist() == matched
    assert first.values.shape == (4, 4)
    assert first.note == "5 words of 6 dimensions, reduced to 4, from words.txt"
    readings = []
    monkeypatch.setattr(pretrained_vectors, "read_vectors", lambda path: readings.append(path) or read_vectors(path))
    again = load_vectors(str(vectors), words, cache, width=4)
    assert (again.pieces.tolist(), again.note) == (first.pieces.tolist(), first.note)
    assert again.values.tolist() == first.values.tolist()
    assert readings == []
    load_vectors(str(vectors), words, cache, width=5)
    write_vectors(vectors, ["tea", "coffee", "lemon", "cup", "milk"], seed=1)
    assert load_vectors(str(vectors), words, cache, width=4).values.tolist() != first.values.tolist()
    assert len(readings) == 2


def test_vectors_of_another_language_are_refused(words: Tokenizer, rows: Path, cache: Cache) -> None:
    path = write_vectors(Path("words.txt"), ["thé", "кофе"])
    with pytest.raises(DataError, match="none of its 2 words is a piece of the tokenizer"):
        load_vectors(str(path), words, cache, width=4)
    with pytest.raises(DataError, match="none of its 2 words is a piece of the tokenizer"):
        train(configure(rows, path), RUN)


def test_other_pieces_get_vectors_from_the_parts_of_words(
    tokenizer: Tokenizer, cache: Cache, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tokenizer.list_words()
    known = next(word for word in words.values() if len(word) > 1)
    path = write_vectors(rows.with_name("words.txt"), [known, "other"])
    assert len(load_vectors(str(path), tokenizer, cache, width=4).pieces) == 1
    asked = {}

    class Letters:
        def compose(self, text: str, *, is_word: bool) -> np.ndarray | None:
            asked[text] = is_word
            return None if text == "." else np.full(6, len(text), np.float32)

    monkeypatch.setattr(pretrained_vectors, "open_composer", lambda _: Letters())
    loaded = load_vectors(str(path), tokenizer, cache, width=5)
    texts = {i: piece.strip("\u2581") for i, piece in tokenizer.list_pieces().items()}
    assert loaded.pieces.tolist() == sorted(i for i, text in texts.items() if text not in ("", "."))
    assert known not in asked
    assert asked == {text: i in words for i, text in texts.items() if text not in ("", known)}


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
@pytest.mark.parametrize("freeze", [False, True])
def test_frozen_vectors_stay_and_others_move(cell: str, freeze: bool, rows: Path, vectors: Path, cache: Cache) -> None:
    train(configure(rows, vectors, model__cell=cell, embedding__freeze=freeze), RUN)
    saved = load_model(RUN)
    loaded = load_vectors(str(vectors), saved.tokenizer, cache, width=16)
    assert len(loaded.pieces) >= 3
    rest = np.setdiff1d(np.arange(len(saved.tokenizer)), loaded.pieces)
    assert loaded.width == saved.config.model.embedding == 6
    torch.manual_seed(saved.config.train.seed)
    network = Classifier(len(saved.tokenizer), 2, **saved.config.model.model_dump())
    loaded.initialize(network.embedding.weight)
    before, after = network.embedding.weight.detach().numpy(), saved.weights["embedding.weight"]
    assert before[loaded.pieces].tolist() == loaded.values.tolist()
    assert np.array_equal(after[loaded.pieces], loaded.values) == freeze
    assert (after[rest] != before[rest]).any()


@pytest.mark.parametrize(("limit", "width"), [(16, 6), (6, 6), (4, 4)])
def test_the_embedding_is_as_wide_as_its_vectors(limit: int, width: int, rows: Path, vectors: Path) -> None:
    train(configure(rows, vectors, model__embedding=limit), RUN)
    saved = load_model(RUN)
    assert saved.config.model.embedding == width
    assert saved.weights["embedding.weight"].shape == (len(saved.tokenizer), width)


@pytest.mark.parametrize("kind", ["unigram", "word"])
def test_a_word_that_the_training_set_lacks_keeps_its_vector(kind: str, rows: Path, cache: Cache) -> None:
    path = write_vectors(Path("words.txt"), ["tea", "kettle", "coffee", "lemon", "teapots", "milk"])
    train(configure(rows, path, tokenizer__model_type=kind), RUN)
    saved = load_model(RUN)
    pieces = {word: piece for piece, word in saved.tokenizer.list_words().items()}
    new, known = [pieces["kettle"], pieces["teapots"]], [pieces["tea"], pieces["milk"]]
    assert [saved.tokenizer.encode_ids(word) for word in ("kettle", "teapots")] == [[piece] for piece in new]
    loaded = load_vectors(str(path), saved.tokenizer, cache, width=16)
    initial = dict(zip(loaded.pieces.tolist(), loaded.values, strict=True))
    weight = saved.weights["embedding.weight"]
    assert all(weight[piece].tolist() == initial[piece].tolist() for piece in new)
    assert all(weight[piece].tolist() != initial[piece].tolist() for piece in known)
    train(configure(rows, path, embedding__words=0), Path("none"))
    assert "kettle" not in load_model(Path("none")).tokenizer.list_words().values()


def test_frozen_rows_have_no_gradient_and_do_not_move() -> None:
    loaded = PieceVectors(np.array([1, 3]), np.ones((2, 2), np.float32), "")
    weight, gradient = torch.zeros(4, 2), torch.ones(3, 2)
    loaded.initialize(weight)
    assert weight.tolist() == [[0, 0], [1, 1], [0, 0], [1, 1]]
    before = weight.clone()
    rows = torch.tensor([0, 1, 3])
    with FrozenRows(loaded, 4, torch.device("cpu")).preserved(weight, rows, gradient):
        assert gradient.tolist() == [[1, 1], [0, 0], [0, 0]]
        weight += 5.0
    assert weight[1:4:2].tolist() == [[1, 1], [1, 1]]
    assert weight[0::2].tolist() == (before[0::2] + 5).tolist()


def test_the_note_reports_the_coverage(rows: Path) -> None:
    path = write_vectors(Path("words.txt"), ["green", "tea", "with", "cup"])
    recorder = Recorder()
    estimate = dry_run(configure(rows, path, data__valid=str(rows)), reporter=recorder)
    (note,) = [note for note in recorder.notes if note.startswith("vectors:")]
    words = [word for line in rows.read_text().splitlines() for word in line.partition("\t")[2].split()]
    share = sum(word in {"green", "tea", "with"} for word in words) / len(words)
    pieces = len(set(words)) + 1  # cup was added as a piece
    assert note == (
        f"vectors: 4 words of 6 dimensions from words.txt, for 4 of {pieces} pieces ({4 / pieces:.0%}) "
        f"and {share:.0%} of the training tokens"
    )
    assert estimate.config.embedding.vectors == str(path)


@pytest.mark.parametrize("freeze", [False, True])
def test_a_run_with_vectors_resumes_exactly(
    freeze: bool, rows: Path, vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(rows, vectors, embedding__freeze=freeze)
    train(config, Path("whole"))
    with pytest.raises(StoppedError):
        train(config, RUN, reporter=Recorder(12))
    content = vectors.read_bytes()
    write_vectors(vectors, ["tea", "coffee", "lemon", "cup", "milk"], seed=1)
    with pytest.raises(ModelError, match="word vectors have changed"):
        resume(RUN)
    vectors.write_bytes(content)
    recorder = Recorder()
    if freeze:
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")  # a restart resumes it too
        train(config, RUN, reporter=recorder)
    else:
        resume(RUN, reporter=recorder)
    assert any(note.startswith("resuming in epoch") for note in recorder.notes)
    assert (RUN / MODEL_NAME).read_bytes() == Path("whole", MODEL_NAME).read_bytes()
