"""Pretrained vectors: which pieces take them, at which scale, and that what is frozen stays as it is."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from samples import make_config, write_rows
from textrnn.config import Config
from textrnn.data.cache import Cache
from textrnn.data.io import read_lines
from textrnn.data.word_vectors import WordBlock, read_vectors
from textrnn.errors import DataError, ModelError, StoppedError
from textrnn.inference.engine import Engine
from textrnn.models.classifier import Classifier
from textrnn.ops.batch_layout import BatchLayout
from textrnn.preparation import pretrained_vectors
from textrnn.preparation.pretrained_vectors import FrozenRows, PieceVectors, load_vectors, match_words, standardize
from textrnn.reporter import Reporter
from textrnn.serialization.model_file import MODEL_NAME, load_model
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.training.dry_run import dry_run
from textrnn.training.train import resume, train

TEXT = ["green tea with lemon", "black coffee with milk", "please", "now", "today", "again", "at noon", "!", "7"]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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


class Notes(Reporter):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def small(rows: Path, vectors: Path | None, **values: object) -> Config:
    defaults: dict[str, object] = {
        "data__train": str(rows),
        "tokenizer__model_type": "word",
        "tokenizer__vocab_size": 80,
        "model__hidden": 8,
        "model__embedding": 16,
        "model__dropout": 0.1,
        "train__epochs": 3,
        "train__batch_size": 4,
        "train__lr": 0.01,
    }
    if vectors is not None:
        defaults["embedding__vectors"] = str(vectors)
    return make_config(**(defaults | values))


def blocks(*parts: list[str]) -> list[WordBlock]:
    """Blocks of words; the vector of a word is its number among all, twice."""
    number, found = 0, []
    for part in parts:
        values = np.repeat(np.arange(number, number + len(part), dtype=np.float32)[:, None], 2, axis=1)
        found.append(WordBlock([word.encode() for word in part], "a file", number + 1, 2, values))
        number += len(part)
    return found


def match(found: list[WordBlock], words: dict[int, str]) -> tuple[dict[int, float], int]:
    pieces, vectors, count = match_words(found, words)
    return dict(zip(pieces.tolist(), vectors[:, 0].tolist(), strict=True)), count


def test_a_word_is_looked_up_as_it_is_and_then_in_lower_case() -> None:
    file = blocks(["us", "US", "How"], ["how", "tea"])
    assert match(file, {5: "US", 6: "us", 7: "Us", 8: "How", 9: "HOW", 3: "coffee"}) == (
        {5: 1.0, 6: 0.0, 7: 0.0, 8: 2.0, 9: 3.0},
        5,
    )


def test_the_first_of_a_word_that_stands_twice_counts() -> None:
    assert match(blocks(["tea", "the", "tea"], ["tea"]), {1: "tea", 2: "Tea"}) == ({1: 0.0, 2: 0.0}, 4)
    assert match(blocks(["tea", "Tea"], ["Tea"]), {2: "Tea"}) == ({2: 1.0}, 3)


def test_pieces_that_are_words(tokenizer: Tokenizer, words: Tokenizer) -> None:
    pieces = tokenizer.list_pieces()
    found = tokenizer.list_words()
    assert len(pieces) == len(tokenizer) - 3  # unknown, begin, end
    for piece, text in pieces.items():
        bare = text.strip("\u2581")
        is_word = bool(bare) and (text.startswith("\u2581") or not bare.isalpha())
        assert found.get(piece) == (bare if is_word else None)
    assert set(words.list_words().values()) == {word for line in TEXT for word in line.split()}


@pytest.mark.parametrize(("wide", "width"), [(6, 16), (6, 6), (6, 4), (6, 1)])
def test_the_scale_is_that_of_new_embeddings(wide: int, width: int) -> None:
    drawn = np.random.default_rng(1).normal(5, [1, 2, 3, 4, 5, 40], (200, wide)).astype(np.float32)
    found = standardize(drawn, width)
    assert found.shape == (200, min(wide, width))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    assert found.std() == pytest.approx(1, rel=1e-5)
    if width >= wide:
        np.testing.assert_allclose(found.std(axis=0), 1, rtol=1e-5)
        np.testing.assert_allclose(found, (drawn - drawn.mean(0)) / drawn.std(0), atol=1e-5)


def test_the_directions_that_are_kept_hold_most() -> None:
    rng = np.random.default_rng(2)
    hidden = rng.normal(size=(300, 2))
    drawn = (hidden @ rng.normal(size=(2, 8)) + 0.01 * rng.normal(size=(300, 8))).astype(np.float32)
    found = standardize(drawn, 2)
    whole = (drawn - drawn.mean(0)) / drawn.std(0)
    fitted = found @ np.linalg.lstsq(found, whole, rcond=None)[0]
    assert np.square(whole - fitted).mean() < 1e-3


def test_one_word_and_columns_without_a_difference_stay_finite() -> None:
    assert standardize(np.full((1, 4), 3, np.float32), 8).tolist() == [[0, 0, 0, 0]]
    assert standardize(np.full((5, 4), 3, np.float32), 2).tolist() == [[0, 0]] * 5


def test_the_result_is_kept(words: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Cache.open(str(tmp_path / "cache"), pytest.fail)
    path = write_vectors(tmp_path / "words.txt", ["tea", "coffee", "cup", "milk"])
    first = load_vectors(str(path), words, store, width=4)
    assert [words.list_words()[piece] for piece in first.pieces.tolist()] == sorted(
        ["tea", "coffee", "milk"], key=lambda word: {w: i for i, w in words.list_words().items()}[word]
    )
    assert first.values.shape == (3, 4)
    assert first.note == f"4 words of 6 numbers, cut to 4, from {path}"
    readings = []
    monkeypatch.setattr(pretrained_vectors, "read_vectors", lambda path: readings.append(path) or read_vectors(path))
    again = load_vectors(str(path), words, store, width=4)
    assert (again.pieces.tolist(), again.values.tolist(), again.note) == (
        first.pieces.tolist(),
        first.values.tolist(),
        first.note,
    )
    assert readings == []
    load_vectors(str(path), words, store, width=5)
    write_vectors(path, ["tea", "coffee", "cup", "milk"], seed=1)
    assert load_vectors(str(path), words, store, width=4).values.tolist() != first.values.tolist()
    assert len(readings) == 2


def test_vectors_of_another_language_are_told(words: Tokenizer, tmp_path: Path) -> None:
    store = Cache.open(str(tmp_path / "cache"), pytest.fail)
    path = write_vectors(tmp_path / "words.txt", ["thé", "café"])
    with pytest.raises(DataError, match="none of its 2 words is a piece of the tokenizer"):
        load_vectors(str(path), words, store, width=4)


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
@pytest.mark.parametrize("freeze", [False, True])
def test_frozen_vectors_stay_and_others_move(cell: str, freeze: bool, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    path = write_vectors(tmp_path / "words.txt", ["tea", "coffee", "lemon", "cup", "milk", "1"])
    outcome = train(small(rows, path, model__cell=cell, embedding__freeze=freeze), tmp_path / "run")
    saved = load_model(outcome.folder)
    vectors = load_vectors(str(path), saved.tokenizer, Cache.open(str(tmp_path / "cache"), pytest.fail), width=16)
    assert len(vectors.pieces) >= 3
    rest = np.setdiff1d(np.arange(len(saved.tokenizer)), vectors.pieces)
    assert vectors.width == saved.config.model.embedding == 6
    before = start(saved.config, vectors, len(saved.tokenizer))
    after = saved.weights["embedding.weight"]
    assert before[vectors.pieces].tolist() == vectors.values.tolist()
    assert np.array_equal(after[vectors.pieces], vectors.values) == freeze
    assert (after[rest] != before[rest]).any()


def start(config: Config, vectors: PieceVectors, V: int) -> npt.NDArray[np.float32]:
    """Return the embedding that a run of ``config`` begins with."""
    torch.manual_seed(config.train.seed)
    network = Classifier(V, 2, **config.model.model_dump())
    vectors.place(network.embedding.weight)
    return network.embedding.weight.detach().numpy()


def test_the_embedding_is_as_wide_as_the_vectors_and_no_wider_than_is_said(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    path = write_vectors(tmp_path / "words.txt", ["tea", "coffee", "lemon", "cup", "milk"])
    for most, width in ((16, 6), (6, 6), (4, 4)):
        saved = load_model(train(small(rows, path, model__embedding=most), tmp_path / f"run{most}").folder)
        assert saved.config.model.embedding == width
        assert saved.weights["embedding.weight"].shape == (len(saved.tokenizer), width)


@pytest.mark.parametrize("kind", ["unigram", "word"])
def test_a_word_that_the_text_lacks_keeps_its_vector(kind: str, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    path = write_vectors(tmp_path / "words.txt", ["tea", "kettle", "coffee", "lemon", "teapots", "milk"])
    config = small(rows, path, tokenizer__model_type=kind)
    saved = load_model(train(config, tmp_path / "run").folder)
    places = {word: piece for piece, word in saved.tokenizer.list_words().items()}
    new, known = [places["kettle"], places["teapots"]], [places["tea"], places["milk"]]
    assert [saved.tokenizer.encode_ids(word) for word in ("kettle", "teapots")] == [[piece] for piece in new]
    store = Cache.open(str(tmp_path / "cache"), pytest.fail)
    vectors = load_vectors(str(path), saved.tokenizer, store, width=16)
    began = dict(zip(vectors.pieces.tolist(), vectors.values, strict=True))
    weight = saved.weights["embedding.weight"]
    for piece in new:
        assert weight[piece].tolist() == began[piece].tolist()
    for piece in known:
        assert weight[piece].tolist() != began[piece].tolist()
    without = load_model(train(small(rows, path, embedding__words=0), tmp_path / "none").folder)
    assert "kettle" not in without.tokenizer.list_words().values()


def test_vectors_of_another_language_are_no_words_of_it(tmp_path: Path) -> None:
    path = write_vectors(tmp_path / "words.txt", ["кофе", "чай"])
    with pytest.raises(DataError, match="none of its 2 words is a piece of the tokenizer"):
        train(small(write_rows(tmp_path / "rows.tsv"), path), tmp_path / "run")


def test_what_is_frozen_has_no_share_in_the_norm() -> None:
    vectors = PieceVectors(np.array([1, 3]), np.ones((2, 2), np.float32), "")
    weight, gradient = torch.zeros(4, 2), torch.ones(3, 2)
    vectors.place(weight)
    assert weight.tolist() == [[0, 0], [1, 1], [0, 0], [1, 1]]
    before = weight.clone()
    rows = torch.tensor([0, 1, 3])
    with FrozenRows(vectors, 4, torch.device("cpu")).holding(weight, rows, gradient):
        assert gradient.tolist() == [[1, 1], [0, 0], [0, 0]]
        weight += 5.0
    assert weight[1:4:2].tolist() == [[1, 1], [1, 1]]
    assert weight[0::2].tolist() == (before[0::2] + 5).tolist()


def test_predictions_are_those_of_the_network_and_need_no_vectors(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    path = write_vectors(tmp_path / "words.txt", ["tea", "coffee", "lemon", "cup", "milk"], width=20)
    outcome = train(small(rows, path), tmp_path / "run")
    path.unlink()
    saved = load_model(outcome.folder)
    engine = Engine(replace(saved, ngrams=None))
    assert saved.config.embedding.vectors == str(path)
    assert saved.weights["embedding.weight"].shape == (len(saved.tokenizer), 16)
    network = Classifier(len(saved.tokenizer), 2, **saved.config.model.model_dump()).eval()
    network.import_weights(saved.weights)
    texts = [line.decode().partition("\t")[2] for line in read_lines(str(rows))]
    with torch.no_grad():
        for text in texts:
            ids = torch.tensor(saved.tokenizer.encode_ids(text), dtype=torch.int32)
            scores = network(ids, BatchLayout(torch.tensor([0, len(ids)]))).numpy()
            np.testing.assert_allclose(engine.predict_logits([text]), scores, atol=1e-5)


def test_the_note_says_how_much_is_covered(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    path = write_vectors(tmp_path / "words.txt", ["green", "tea", "with", "cup"])
    notes = Notes()
    found = dry_run(small(rows, path, data__valid=str(rows)), reporter=notes)
    (line,) = [note for note in notes.notes if note.startswith("vectors:")]
    # 40 texts "green tea with lemon ..." or "black coffee with milk ..." of 230 words: 20 green, 20 tea, 40 with;
    # cup is a piece because the file has it
    texts = [text.decode().partition("\t")[2].split() for text in read_lines(str(rows))]
    words = [word for text in texts for word in text]
    share = sum(word in {"green", "tea", "with"} for word in words) / len(words)
    pieces = len(set(words)) + 1
    assert line == (
        f"vectors: 4 words of 6 numbers from {path}; 4 of {pieces} pieces ({4 / pieces:.0%}) have one, "
        f"which are {share:.0%} of the training text's"
    )
    assert found.config.embedding.vectors == str(path)


class FilterSignals(Reporter):
    """Sends this process SIGTERM in its twelfth step."""

    steps = 0

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        self.steps += 1
        if self.steps == 12:
            signal.raise_signal(signal.SIGTERM)


def test_a_restart_goes_on_with_a_run_that_has_the_width_of_its_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    config = small(rows, write_vectors(tmp_path / "words.txt", ["tea", "coffee", "lemon", "cup", "milk"]))
    whole = train(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "run", reporter=FilterSignals())
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    shown = Notes()
    train(config, tmp_path / "run", reporter=shown)
    assert any(note.startswith("going on in epoch") for note in shown.notes)
    assert (tmp_path / "run" / MODEL_NAME).read_bytes() == (whole.folder / MODEL_NAME).read_bytes()


@pytest.mark.parametrize("freeze", [False, True])
def test_going_on_gives_the_same_bytes(freeze: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    path = write_vectors(tmp_path / "words.txt", ["tea", "coffee", "lemon", "cup", "milk"])
    config = small(rows, path, embedding__freeze=freeze)
    whole = train(config, tmp_path / "whole")

    with pytest.raises(StoppedError):
        train(config, tmp_path / "stopped", reporter=FilterSignals())
    kept = path.read_bytes()
    write_vectors(path, ["tea", "coffee", "lemon", "cup", "milk"], seed=1)
    with pytest.raises(ModelError, match="vectors are no longer the same"):
        resume(tmp_path / "stopped")
    path.write_bytes(kept)
    resumed = resume(tmp_path / "stopped")
    assert (resumed.folder / MODEL_NAME).read_bytes() == (whole.folder / MODEL_NAME).read_bytes()
