"""The tokenizer of a run: the texts it is trained on, the words that extend it, and its cache."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from samples import make_config, write_rows
from textrnn.data.cache import Cache
from textrnn.data.reading.source import LabelledFile
from textrnn.preparation import tokenizer_setup
from textrnn.preparation.tokenizer_setup import _sample, fit_tokenizer
from textrnn.tokenization.spm_trainer import TrainedTokenizer, train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.vocabulary_extension import choose_words


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache.open(str(tmp_path / "cache"), pytest.fail)


def fit(rows: Path, cache: Cache, kept: Sequence[int] | None = None, **values: object) -> tuple[Tokenizer, str]:
    config = make_config(**({"data__train": str(rows), "tokenizer__vocab_size": 60} | values))
    file = LabelledFile(str(rows), config.data, cache)
    return fit_tokenizer(config, file, None if kept is None else np.array(kept, np.int64), cache=cache)


def train_on(texts: list[bytes]) -> bytes:
    return train_tokenizer(texts, vocab_size=60, hard_vocab_limit=False).model


def test_held_out_texts_are_not_seen(rows: Path, cache: Cache) -> None:
    texts = [line.split(b"\t")[1] for line in rows.read_bytes().splitlines()]
    kept = [row for row in range(40) if row % 4]
    tokenizer, note = fit(rows, cache, kept)
    assert tokenizer.model == train_on([texts[row] for row in kept])
    assert note == f"tokenizer: {len(tokenizer)} unigram pieces, trained on the training set"
    whole, _ = fit(rows, cache)
    assert whole.model == train_on(texts)
    assert whole.model != tokenizer.model


def test_it_is_trained_once(rows: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[TrainedTokenizer] = []

    def train(lines: object, **options: object) -> TrainedTokenizer:
        trained.append(train_tokenizer(lines, **options))  # type: ignore[arg-type]
        return trained[-1]

    monkeypatch.setattr(tokenizer_setup, "train_tokenizer", train)
    first, again = fit(rows, cache), fit(rows, cache)
    assert (again[0].model, again[1]) == (first[0].model, first[1])
    assert len(trained) == 1
    fit(rows, cache, tokenizer__model_type="bpe")
    fit(rows, cache, train__seed=1)
    fit(rows, cache, tokenizer__vocab_size=61)
    fit(rows, cache, range(10))
    assert len(trained) == 5


def test_a_large_training_set_is_sampled(rows: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_setup, "_SAMPLE_TEXTS", 30)
    write_rows(rows, 100)
    _, note = fit(rows, cache, range(0, 100, 2))
    assert note.endswith("trained on a sample of 30 of 50 texts of the training set")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_sample_is_drawn_from_the_kept_rows_with_the_seed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_setup, "_SAMPLE_TEXTS", 100)
    sizes, kept = np.full(1000, 10, np.int32), np.arange(0, 1000, 3)
    mask, used = _sample(sizes, kept, seed)
    assert mask is not None
    rows = np.flatnonzero(mask)
    assert used == len(rows) == 100
    assert set(rows.tolist()) < set(kept.tolist())
    assert np.flatnonzero(_sample(sizes, kept, seed)[0]).tolist() == rows.tolist()
    assert np.flatnonzero(_sample(sizes, kept, seed + 1)[0]).tolist() != rows.tolist()
    assert 350 < rows.mean() < 650  # from all parts of the file


def test_the_size_of_the_sample_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_setup, "_SAMPLE_BYTES", 5000)
    monkeypatch.setattr(tokenizer_setup, "_MAX_TEXT_BYTES", 500)
    sizes = np.random.default_rng(0).integers(1, 1000, 500).astype(np.int32)
    mask, used = _sample(sizes, None, 0)
    assert mask is not None
    assert used == mask.sum() > 5
    assert 4000 < np.minimum(sizes[mask], 500).sum() <= 5000
    assert sizes[mask].max() > 500  # of long texts the beginning


def test_of_long_texts_the_beginning_is_seen(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["the tea " * 200 + "coffee", "차가" * 200 + "X", "milk"]
    path = tmp_path / "long.tsv"
    path.write_text("".join(f"a\t{text}\n" for text in texts), encoding="utf-8")
    monkeypatch.setattr(tokenizer_setup, "_MAX_TEXT_BYTES", 1000)
    tokenizer, note = fit(path, cache, data__format="tsv")
    assert "without" not in note
    assert {"t", "차", "m"} <= set("".join(tokenizer.list_pieces().values()))
    assert not {"f", "X"} & set("".join(tokenizer.list_pieces().values()))


def test_a_small_training_set_is_used_completely() -> None:
    sizes = np.full(10, 10, np.int32)
    assert _sample(sizes, None, 0) == (None, 10)
    mask, used = _sample(sizes, np.array([2, 5]), 0)
    assert mask is not None
    assert (np.flatnonzero(mask).tolist(), used) == ([2, 5], 2)


WORDS = ["the", "tea", "coffee", "<unk>", "7", "kettle", "boils", "today"]


@pytest.fixture
def words(rows: Path) -> Path:
    """A file of word vectors."""
    return write_words(rows.with_name("words.txt"))


def write_words(path: Path, words: list[str] = WORDS) -> Path:
    path.write_text("".join(f"{word} 1 2\n" for word in words), encoding="utf-8")
    return path


def list_added(tokenizer: Tokenizer, base: Tokenizer) -> list[str]:
    assert tokenizer.model.startswith(base.model)
    return [piece for i, piece in tokenizer.list_pieces().items() if i >= len(base)]


@pytest.mark.parametrize("kind", ["unigram", "word"])
def test_words_that_the_training_set_lacks_become_pieces(kind: str, rows: Path, words: Path, cache: Cache) -> None:
    base, note = fit(rows, cache, tokenizer__model_type=kind)
    tokenizer, extended_note = fit(rows, cache, tokenizer__model_type=kind, embedding__vectors=str(words))
    added = list_added(tokenizer, base)
    assert added[-3:] == ["\u2581the", "\u2581kettle", "\u2581boils"]
    # words of the training set that are not pieces, if any, come first
    assert {*added[:-3]} == {f"\u2581{word}" for word in ("tea", "coffee", "today")} - {*base.list_pieces().values()}
    assert extended_note == f"{note}, and {len(added)} words of {words}"
    assert [tokenizer.encode_pieces(word) for word in ("kettle", "today")] == [["\u2581kettle"], ["\u2581today"]]


@pytest.mark.parametrize("values", [{"embedding__words": 0}, *({"tokenizer__model_type": t} for t in ("bpe", "char"))])
def test_no_words_are_added_on_request_or_to_other_types(
    values: dict[str, object], rows: Path, words: Path, cache: Cache
) -> None:
    base, note = fit(rows, cache, **values)
    tokenizer, same_note = fit(rows, cache, embedding__vectors=str(words), **values)
    assert (tokenizer.model, same_note) == (base.model, note)
    Path("own.model").write_bytes(base.model)
    assert fit(rows, cache, tokenizer__model="own.model", embedding__vectors=str(words))[0].model == base.model


@pytest.mark.parametrize(("start", "word"), [(0, "assam"), (1, "oolong")])
def test_words_of_held_out_texts_get_no_priority(start: int, word: str, rows: Path, cache: Cache) -> None:
    rows.write_text("".join(f"a\tgreen {'oolong' if i % 2 else 'assam'} green\n" for i in range(40)))
    write_words(Path("words.txt"), ["the", "and", "assam", "oolong"])
    values = {"tokenizer__model_type": "word", "tokenizer__vocab_size": 4}  # three special pieces and one word
    values |= {"embedding__vectors": "words.txt", "embedding__words": 2}
    tokenizer, _ = fit(rows, cache, range(start, 40, 2), **values)
    assert [*tokenizer.list_words().values()] == ["green", word, "the"]


def test_the_extension_is_cached_for_each_file_and_number_of_words(
    rows: Path, words: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int] = []

    def choose(*arguments: object, limit: int) -> list[str]:
        limits.append(limit)
        return choose_words(*arguments, limit=limit)  # type: ignore[arg-type]

    monkeypatch.setattr(tokenizer_setup, "choose_words", choose)

    def add(path: Path, words: int = 100) -> list[str]:
        tokenizer, _ = fit(rows, cache, embedding__vectors=str(path), embedding__words=words)
        return list_added(tokenizer, fit(rows, cache)[0])

    first = add(words)
    assert add(words) == first
    packed = Path("words.txt.gz")
    packed.write_bytes(gzip.compress(words.read_bytes()))
    assert add(packed) == first
    assert limits == [100, 100]  # a file of other bytes counts as another file
    assert len(add(words, 2)) == 2
    assert add(words) == first
    write_words(words, [*WORDS, "spoon"])
    assert add(words) == [*first, "\u2581spoon"]
    assert add(words, 0) == []
    assert limits == [100, 100, 2, 100]
    np.save("words.npy", np.ones((len(WORDS), 2), np.float32))
    Path("words.vocab").write_text("\n".join(WORDS), encoding="utf-8")
    assert add(Path("words.npy")) == first
    counted = Path("words.vec")
    counted.write_text(f"{len(WORDS)} 2\n" + "".join(f"{word} 1 2 \n" for word in WORDS), encoding="utf-8")
    assert add(counted) == first
