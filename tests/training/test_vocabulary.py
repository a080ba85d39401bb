"""The tokenizer of a run: which texts it is trained on, and that this is done once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samples import make_config, write_rows
from textrnn.config import Config
from textrnn.corpus.source import LabelledFile
from textrnn.corpus.store import Store
from textrnn.tokenizer import Tokenizer, TrainedTokenizer, train_tokenizer
from textrnn.training import vocabulary
from textrnn.training.vocabulary import _draw, fit_tokenizer


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "cache"), pytest.fail)


def fit(rows: Path, store: Store, kept: list[int] | None, **values: object) -> tuple[Tokenizer, str]:
    config: Config = make_config(data__train=str(rows), tokenizer__vocab_size=60, **values)
    file = LabelledFile(str(rows), config.data, store)
    return fit_tokenizer(config, file, None if kept is None else np.array(kept, np.int64), store=store)


def train_on(texts: list[bytes]) -> bytes:
    return train_tokenizer(texts, vocab_size=60, hard_vocab_limit=False, options={"max_sentence_length": 1 << 20}).model


def test_only_the_kept_texts_are_trained_on(tmp_path: Path, store: Store) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    texts = [line.split(b"\t")[1] for line in rows.read_bytes().splitlines()]
    kept = [row for row in range(40) if row % 4]
    tokenizer, note = fit(rows, store, kept)
    assert tokenizer.model == train_on([texts[row] for row in kept])
    assert note == f"tokenizer: {len(tokenizer)} unigram pieces, trained on the training text"
    whole, _ = fit(rows, store, None)
    assert whole.model == train_on(texts)
    assert whole.model != tokenizer.model


def test_it_is_trained_once(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[TrainedTokenizer] = []

    def train(lines: object, **options: object) -> TrainedTokenizer:
        trained.append(train_tokenizer(lines, **options))  # type: ignore[arg-type]
        return trained[-1]

    monkeypatch.setattr(vocabulary, "train_tokenizer", train)
    rows = write_rows(tmp_path / "rows.tsv")
    first = fit(rows, store, None)
    again = fit(rows, store, None)
    assert (again[0].model, again[1]) == (first[0].model, first[1])
    assert len(trained) == 1
    others: list[dict[str, object]] = [
        {"tokenizer__model_type": "bpe"},
        {"train__seed": 1},
        {"tokenizer__vocab_size": 61},
    ]
    for number, other in enumerate(others, start=2):
        config = make_config(**({"data__train": str(rows), "tokenizer__vocab_size": 60} | other))
        fit_tokenizer(config, LabelledFile(str(rows), config.data, store), None, store=store)
        assert len(trained) == number
    fit(rows, store, list(range(10)))  # other texts
    assert len(trained) == 5


def test_of_much_text_a_sample_is_used_and_told(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "_SAMPLE_TEXTS", 30)
    rows = write_rows(tmp_path / "rows.tsv", 100)
    _, note = fit(rows, store, list(range(0, 100, 2)))
    assert note.endswith("unigram pieces, trained on a sample of 30 of 50 texts")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_sample_is_drawn_from_the_kept_rows_with_the_seed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "_SAMPLE_TEXTS", 100)
    sizes, kept = np.full(1000, 10, np.int32), np.arange(0, 1000, 3)
    mask, used = _draw(sizes, kept, seed)
    assert mask is not None
    rows = np.flatnonzero(mask)
    assert used == len(rows) == 100
    assert set(rows.tolist()) < set(kept.tolist())
    assert np.flatnonzero(_draw(sizes, kept, seed)[0]).tolist() == rows.tolist()
    assert np.flatnonzero(_draw(sizes, kept, seed + 1)[0]).tolist() != rows.tolist()
    assert 350 < rows.mean() < 650  # from all parts of the file


def test_the_sample_is_bounded_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "_SAMPLE_BYTES", 5000)
    monkeypatch.setattr(vocabulary, "_LONGEST_TEXT", 900)
    sizes = np.random.default_rng(0).integers(1, 1000, 500).astype(np.int32)
    mask, used = _draw(sizes, None, 0)
    assert mask is not None
    assert used == mask.sum() > 5
    assert 4000 < sizes[mask].sum() <= 5000
    assert sizes[mask].max() <= 900


def test_little_text_is_used_whole() -> None:
    sizes = np.full(10, 10, np.int32)
    assert _draw(sizes, None, 0) == (None, 10)
    mask, used = _draw(sizes, np.array([2, 5]), 0)
    assert mask is not None
    assert (np.flatnonzero(mask).tolist(), used) == ([2, 5], 2)
