"""The tokenizer of a run: which texts it is trained on, and that this is done once."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from samples import make_config, write_rows
from textrnn.config import Config
from textrnn.data.cache import Cache
from textrnn.data.source import LabelledFile
from textrnn.errors import DataError
from textrnn.preparation import tokenizer_setup
from textrnn.preparation.tokenizer_setup import _draw, fit_tokenizer
from textrnn.tokenization.spm_trainer import TrainedTokenizer, train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.vocabulary_extension import choose_words


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache.open(str(tmp_path / "cache"), pytest.fail)


def fit(rows: Path, store: Cache, kept: list[int] | None, **values: object) -> tuple[Tokenizer, str]:
    config: Config = make_config(data__train=str(rows), tokenizer__vocab_size=60, **values)
    file = LabelledFile(str(rows), config.data, store)
    return fit_tokenizer(config, file, None if kept is None else np.array(kept, np.int64), store=store)


def train_on(texts: list[bytes]) -> bytes:
    return train_tokenizer(texts, vocab_size=60, hard_vocab_limit=False, options={"max_sentence_length": 1 << 20}).model


def test_only_the_kept_texts_are_trained_on(tmp_path: Path, store: Cache) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    texts = [line.split(b"\t")[1] for line in rows.read_bytes().splitlines()]
    kept = [row for row in range(40) if row % 4]
    tokenizer, note = fit(rows, store, kept)
    assert tokenizer.model == train_on([texts[row] for row in kept])
    assert note == f"tokenizer: {len(tokenizer)} unigram pieces, trained on the training text"
    whole, _ = fit(rows, store, None)
    assert whole.model == train_on(texts)
    assert whole.model != tokenizer.model


def test_it_is_trained_once(tmp_path: Path, store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[TrainedTokenizer] = []

    def train(lines: object, **options: object) -> TrainedTokenizer:
        trained.append(train_tokenizer(lines, **options))  # type: ignore[arg-type]
        return trained[-1]

    monkeypatch.setattr(tokenizer_setup, "train_tokenizer", train)
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


def test_of_much_text_a_sample_is_used_and_told(tmp_path: Path, store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_setup, "_SAMPLE_TEXTS", 30)
    rows = write_rows(tmp_path / "rows.tsv", 100)
    _, note = fit(rows, store, list(range(0, 100, 2)))
    assert note.endswith("unigram pieces, trained on a sample of 30 of 50 texts")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_sample_is_drawn_from_the_kept_rows_with_the_seed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_setup, "_SAMPLE_TEXTS", 100)
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
    monkeypatch.setattr(tokenizer_setup, "_SAMPLE_BYTES", 5000)
    monkeypatch.setattr(tokenizer_setup, "_LONGEST_TEXT", 900)
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


WORDS = ["the", "tea", "coffee", "<unk>", "7", "kettle", "boils", "today"]


def write_words(path: Path, words: list[str] = WORDS, *, numbers: str = "1 2") -> Path:
    path.write_text("".join(f"{word} {numbers}\n" for word in words), encoding="utf-8")
    return path


def list_added(tokenizer: Tokenizer, base: Tokenizer) -> list[str]:
    assert tokenizer.model.startswith(base.model)
    return [piece for i, piece in tokenizer.list_pieces().items() if i >= len(base)]


@pytest.mark.parametrize("kind", ["unigram", "word"])
def test_words_that_the_text_lacks_become_pieces(kind: str, tmp_path: Path, store: Cache) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    path = write_words(tmp_path / "words.txt")
    base, note = fit(rows, store, None, tokenizer__model_type=kind)
    tokenizer, told = fit(rows, store, None, tokenizer__model_type=kind, embedding__vectors=str(path))
    added = list_added(tokenizer, base)
    assert added[-3:] == ["\u2581the", "\u2581kettle", "\u2581boils"]
    # words of the text that its training cut, if any, come first
    assert {*added[:-3]} == {f"\u2581{word}" for word in ("tea", "coffee", "today")} - {*base.list_pieces().values()}
    assert told == f"{note}, and {len(added)} words of {path}"
    assert [tokenizer.encode_pieces(word) for word in ("kettle", "today")] == [["\u2581kettle"], ["\u2581today"]]


def test_no_words_are_asked_for_or_can_be_taken(tmp_path: Path, store: Cache) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    path = str(write_words(tmp_path / "words.txt"))
    base, note = fit(rows, store, None)
    tokenizer, told = fit(rows, store, None, embedding__vectors=path, embedding__words=0)
    assert (tokenizer.model, told) == (base.model, note)
    for kind in ("bpe", "char"):
        base, note = fit(rows, store, None, tokenizer__model_type=kind)
        tokenizer, told = fit(rows, store, None, tokenizer__model_type=kind, embedding__vectors=path)
        assert (tokenizer.model, told) == (base.model, note)
    own = tmp_path / "own.model"
    own.write_bytes(base.model)
    tokenizer, _ = fit(rows, store, None, tokenizer__model=str(own), embedding__vectors=path)
    assert tokenizer.model == base.model


@pytest.mark.parametrize(("start", "word"), [(0, "assam"), (1, "oolong")])
def test_only_words_of_the_kept_texts_come_first(start: int, word: str, tmp_path: Path, store: Cache) -> None:
    lines = [f"a\tgreen {'oolong' if i % 2 else 'assam'} green\n" for i in range(40)]
    rows = tmp_path / "rows.tsv"
    rows.write_text("".join(lines), encoding="utf-8")
    path = str(write_words(tmp_path / "words.txt", ["the", "and", "assam", "oolong"]))
    values: dict[str, object] = {"tokenizer__model_type": "word", "tokenizer__vocab_size": 4}  # three special, one word
    config = make_config(data__train=str(rows), embedding__vectors=path, embedding__words=2, **values)
    file = LabelledFile(str(rows), config.data, store)
    tokenizer, _ = fit_tokenizer(config, file, np.arange(start, 40, 2), store=store)
    assert [*tokenizer.list_words().values()] == ["green", word, "the"]


def test_each_file_and_number_of_words_has_its_own(
    tmp_path: Path, store: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def choose(*arguments: object, limit: int) -> list[str]:
        asked.append(limit)
        return choose_words(*arguments, limit=limit)  # type: ignore[arg-type]

    monkeypatch.setattr(tokenizer_setup, "choose_words", choose)
    rows = write_rows(tmp_path / "rows.tsv")
    path = write_words(tmp_path / "words.txt")

    def add(path: Path, words: int = 100) -> list[str]:
        tokenizer, _ = fit(rows, store, None, embedding__vectors=str(path), embedding__words=words)
        return list_added(tokenizer, fit(rows, store, None)[0])

    first = add(path)
    assert add(path) == first
    packed = tmp_path / "words.txt.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert add(packed) == first
    assert asked == [100, 100]  # other bytes are another file
    assert len(add(path, 2)) == 2
    assert add(path) == first
    write_words(path, [*WORDS, "spoon"])
    assert add(path) == [*first, "\u2581spoon"]
    assert add(path, 0) == []
    assert asked == [100, 100, 2, 100]
    array = tmp_path / "words.npy"
    np.save(array, np.ones((len(WORDS), 2), np.float32))
    (tmp_path / "words.vocab").write_text("\n".join(WORDS), encoding="utf-8")
    assert add(array) == first
    counted = tmp_path / "words.vec"
    counted.write_text(f"{len(WORDS)} 2\n" + "".join(f"{word} 1 2 \n" for word in WORDS), encoding="utf-8")
    assert add(counted) == first


def test_faults_of_the_vectors_are_told(tmp_path: Path, store: Cache) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    path = write_words(tmp_path / "words.txt")
    path.write_text(path.read_text(encoding="utf-8").replace("boils 1 2", "boils 1"), encoding="utf-8")
    with pytest.raises(DataError, match=r"words\.txt:7: 1 numbers, but other words have 2"):
        fit(rows, store, None, embedding__vectors=str(path))
    with pytest.raises(DataError, match="no such file"):
        fit(rows, store, None, embedding__vectors=str(tmp_path / "other.txt"))
