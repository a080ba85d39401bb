"""Datasets: held-out texts, labels, tokenizers, folds, and what is cached."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samples import Recorder, make_config, write_rows
from textrnn.config import Config
from textrnn.data.encoded import Corpus
from textrnn.data.partition import hold_out
from textrnn.data.reading import source
from textrnn.errors import ConfigError, DataError
from textrnn.preparation import tokenizer_setup
from textrnn.preparation.dataset import Dataset, load_dataset
from textrnn.reporter import Reporter
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer


def configure(rows: Path, **values: object) -> Config:
    return make_config(**({"data__train": str(rows), "tokenizer__vocab_size": 60} | values))


def load(rows: Path, **values: object) -> Dataset:
    return load_dataset(configure(rows, **values), Reporter())


def ids_of(corpus: Corpus) -> list[int]:
    return corpus.select(np.arange(len(corpus))).ids.tolist()


def test_a_tenth_of_each_label_is_held_out_by_the_seed(rows: Path) -> None:
    write_rows(rows, 200)
    first, again, other = load(rows), load(rows), load(rows, train__seed=1)
    assert first.labels == ("coffee", "tea")
    assert np.bincount(first.train.classes).tolist() == [90, 90]
    assert np.bincount(first.valid.classes).tolist() == [10, 10]
    assert ids_of(first.valid) == ids_of(again.valid) != ids_of(other.valid)
    assert first.train.ids is first.valid.ids  # parts of one file
    assert first.train.rows is not None
    assert first.valid.rows is not None
    assert sorted([*first.train.rows, *first.valid.rows]) == list(range(200))


def test_held_out_rows_are_drawn_label_by_label_in_alphabetical_order(rows: Path) -> None:
    rows.write_text("".join(f"{label}\t{label}{i}\n" for i in range(30) for label in "cab"))
    dataset = load(rows, tokenizer__model_type="char", train__seed=7)
    expected = hold_out(np.array([2, 0, 1] * 30), np.arange(90), 0.1, rng=np.random.default_rng(7))
    assert dataset.valid.rows is not None
    assert dataset.valid.rows.tolist() == expected[1].tolist()
    assert np.bincount(dataset.valid.classes).tolist() == [3, 3, 3]


def test_the_demo_data_have_a_validation_set_of_their_own() -> None:
    recorder = Recorder()
    dataset = load_dataset(make_config(), recorder)
    assert np.bincount(dataset.train.classes).tolist() == [112] * 6
    assert np.bincount(dataset.valid.classes).tolist() == [24] * 6
    assert "demo data" in recorder.notes[0]
    fold = load_dataset(make_config(data__fold="2/4"), recorder)  # cut from its training set
    assert (len(fold.train), len(fold.valid)) == (504, 168)


def test_a_given_tokenizer_is_used_and_texts_are_truncated(rows: Path) -> None:
    model = train_tokenizer([b"tea coffee"], model_type="char", hard_vocab_limit=False).model
    Path("t.model").write_bytes(model)
    dataset = load(rows, tokenizer__model="t.model", data__max_length=7, data__long_texts="cut")
    assert dataset.tokenizer.model == model
    assert set(dataset.train.lengths.tolist()) == {7}


def test_the_tokenizer_is_trained_on_long_documents_too(rows: Path) -> None:
    long = "zebra quagga okapi " * 1000
    rows.write_text("".join(f"{label}\t{long}{i}\n" for label in "ab" for i in range(3)))
    recorder = Recorder()
    tokenizer = load_dataset(configure(rows), recorder).tokenizer
    assert any(note.endswith("trained on the training set") for note in recorder.notes)
    assert 0 not in tokenizer.encode_ids("zebra quagga okapi")


def test_a_second_run_reads_and_encodes_nothing(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SETTLED_NS", -(10**12))  # the file has just been written
    write_rows(rows, 200)
    first, recorder = load(rows, data__cache="cache"), Recorder()

    def fail(*_: object, **__: object) -> None:
        pytest.fail("the text was read or encoded again")

    monkeypatch.setattr(Tokenizer, "encode_packed", fail)
    monkeypatch.setattr(source, "make_blocks", fail)
    again = load_dataset(configure(rows, data__cache="cache"), recorder)
    assert again.tokenizer.model == first.tokenizer.model
    for part in ("train", "valid"):
        assert ids_of(getattr(again, part)) == ids_of(getattr(first, part))
        assert getattr(again, part).classes.tolist() == getattr(first, part).classes.tolist()
    assert "data: 180 training texts, 20 validation texts, 2 labels (coffee 90, tea 90)" in recorder.notes


def test_validation_labels_get_the_classes_of_the_training_set(rows: Path) -> None:
    rows.write_text("tea\tgreen\ncoffee\tblack\ntea\twhite\n")
    Path("valid.tsv").write_text("water\tcold\ntea\tgreen\nsoup\thot\ncoffee\tblack\nwater\twarm\n")
    recorder = Recorder()
    dataset = load_dataset(configure(rows, data__valid="valid.tsv", tokenizer__model_type="char"), recorder)
    assert dataset.labels == ("coffee", "tea")
    assert dataset.train.classes.tolist() == [1, 0, 1]
    assert dataset.valid.classes.tolist() == [-1, 1, -1, 0, -1]
    unknown = "label 'water' is not in the training set; 3 texts with such labels are scored as wrong"
    assert f"valid.tsv:1: {unknown}" in recorder.notes
    Path("valid.tsv").write_text("water\tcold\n")
    with pytest.raises(DataError, match=r"valid\.tsv:1: the training set has none of this file's labels"):
        load(rows, data__valid="valid.tsv", tokenizer__model_type="char")


def test_reading_and_encoding_are_reported(rows: Path) -> None:
    recorder = Recorder()
    write_rows(rows, 210)
    load_dataset(configure(rows), recorder)
    assert set(recorder.loads) == {"reading rows.tsv", "comparing rows.tsv", "encoding rows.tsv"}


def test_a_test_set_from_a_pipe_is_refused(rows: Path) -> None:
    with pytest.raises(ConfigError, match=r"data.test -: is a pipe"):
        load(rows, data__test="-")


def test_folds_share_the_tokenizer_and_the_encoded_text(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(rows, 60)
    Path("words.txt").write_text("tea 1 2\nkettle 2 1\n59 3 3\n", encoding="utf-8")
    values = {"data__cache": "cache", "embedding__vectors": "words.txt"}
    recorder = Recorder()
    first = load_dataset(configure(rows, **values, data__fold="1/3"), recorder)
    assert "fold 1/3: 20 of 60 texts held out (seed 42)" in recorder.notes
    assert "kettle" in first.tokenizer.list_words().values()
    monkeypatch.setattr(Tokenizer, "encode_packed", lambda *_, **__: pytest.fail("the text was encoded again"))
    monkeypatch.setattr(tokenizer_setup, "choose_words", lambda *_, **__: pytest.fail("words were chosen again"))
    parts = [first, *(load(rows, **values, data__fold=f"{k}/3") for k in (2, 3))]
    assert len({part.tokenizer.model for part in parts}) == 1
    held = [row for part in parts if part.valid.rows is not None for row in part.valid.rows.tolist()]
    assert sorted(held) == list(range(60))
    assert [np.bincount(part.valid.classes).tolist() for part in parts] == [[10, 10]] * 3


def test_an_empty_fold_is_refused(rows: Path) -> None:
    rows.write_text("tea\tgreen\ncoffee\tblack\ntea\twhite\ncoffee\tstrong\n")
    with pytest.raises(DataError, match="too few texts for fold 9/9; use fewer folds"):
        load(rows, tokenizer__model_type="char", data__fold="9/9")


def test_only_training_sets_need_labels_that_repeat(tmp_path: Path) -> None:
    rows = [f"class {number}\ta text of {number} {turn}\n" for turn in range(4) for number in range(30)]
    (tmp_path / "train.tsv").write_text("".join(rows[:90]))
    (tmp_path / "valid.tsv").write_text("".join(rows[90:]))  # each label once
    files = {"data__train": str(tmp_path / "train.tsv"), "data__valid": str(tmp_path / "valid.tsv")}
    assert len(load_dataset(make_config(**files), Reporter()).valid) == 30
    files["data__train"], files["data__valid"] = files["data__valid"], files["data__train"]
    with pytest.raises(DataError, match="look swapped"):
        load_dataset(make_config(**files), Reporter())


def test_a_validation_set_may_have_labels_instead_of_probabilities(tmp_path: Path) -> None:
    rows = "text,tea,coffee,w\n" + "green leaf,0.9,0.1,1\nblack bean,0.2,0.8,2\n" * 5
    (tmp_path / "train.csv").write_text(rows, encoding="utf-8")
    (tmp_path / "valid.tsv").write_text("tea\tgreen\ncoffee\tblack\n", encoding="utf-8")
    files = {"data__train": str(tmp_path / "train.csv"), "data__valid": str(tmp_path / "valid.tsv")}
    columns = {"data__label_columns": ["tea", "coffee"], "data__weight": "w", "tokenizer__vocab_size": 40}
    dataset = load_dataset(make_config(**files, **columns), Reporter())
    assert dataset.valid.classes.tolist() == [1, 0]
    assert dataset.valid.text_weights is None
    assert dataset.train.text_weights is not None
    assert dataset.train.text_weights.mean() == pytest.approx(1)
    assert dataset.sum_shares() == pytest.approx([4.5, 5.5])


@pytest.mark.parametrize(
    ("key", "value", "cure"),
    [("data__weight", "x", "data.weight=NAME"), ("data__label_columns", ["tea", "x"], r"data.label_columns=\[A,B\]")],
)
def test_a_missing_column_names_its_key(tmp_path: Path, key: str, value: object, cure: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text("text,label,tea,coffee\na,b,1,0\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"no column 'x'.*--set {cure}"):
        load_dataset(make_config(data__train=str(path), **{key: value}), Reporter())
