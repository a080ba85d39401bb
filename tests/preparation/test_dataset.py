"""From files to packed sets: holding out, labels, tokenizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samples import make_config, write_rows
from textrnn.data import source
from textrnn.data.encoded import Corpus
from textrnn.data.split import hold_out
from textrnn.errors import ConfigError, DataError
from textrnn.preparation import tokenizer_setup
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer


class Notes(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def ids_of(corpus: Corpus) -> list[int]:
    return corpus.select(np.arange(len(corpus))).ids.tolist()


def test_a_tenth_of_each_label_is_held_out(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv", 200)
    config = make_config(data__train=str(rows), tokenizer__vocab_size=60)
    first, again = (load_dataset(config, Reporter()) for _ in range(2))
    assert first.labels == ("coffee", "tea")
    assert np.bincount(first.train.classes).tolist() == [90, 90]
    assert np.bincount(first.valid.classes).tolist() == [10, 10]
    assert ids_of(first.valid) == ids_of(again.valid)
    other = load_dataset(make_config(data__train=str(rows), tokenizer__vocab_size=60, train__seed=1), Reporter())
    assert ids_of(other.valid) != ids_of(first.valid)


def test_the_demo_data_is_balanced_and_its_own_valid_is_used() -> None:
    notes = Notes()
    dataset = load_dataset(make_config(), notes)
    assert np.bincount(dataset.train.classes).tolist() == [112] * 6
    assert np.bincount(dataset.valid.classes).tolist() == [24] * 6
    assert "training on the demo data that ships with textrnn" in notes.lines[0]


def test_a_given_tokenizer_is_used_and_texts_are_cut(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    model = train_tokenizer([b"tea coffee"], model_type="char", hard_vocab_limit=False).model
    (tmp_path / "t.model").write_bytes(model)
    config = make_config(data__train=str(rows), tokenizer__model=str(tmp_path / "t.model"), data__max_length=7)
    dataset = load_dataset(config, Reporter())
    assert dataset.tokenizer.model == model
    assert set(dataset.train.lengths.tolist()) == {7}


def test_long_documents_train_the_tokenizer_too(tmp_path: Path) -> None:
    long = "zebra quagga okapi " * 1000
    (tmp_path / "rows.tsv").write_text("".join(f"{label}\t{long}{i}\n" for label in "ab" for i in range(3)))
    config = make_config(data__train=str(tmp_path / "rows.tsv"), tokenizer__vocab_size=60)
    notes = Notes()
    tokenizer: Tokenizer = load_dataset(config, notes).tokenizer
    assert not any("left" in line or "but for" in line for line in notes.lines)
    assert 0 not in tokenizer.encode_ids("zebra quagga okapi")


def test_valid_with_no_known_label_is_refused(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    (tmp_path / "valid.tsv").write_text("water\tcold\n")
    with pytest.raises(DataError, match=r"valid\.tsv:1: no label of this file is in the training text"):
        load_dataset(make_config(data__train=str(rows), data__valid=str(tmp_path / "valid.tsv")), Reporter())


def test_a_second_run_reads_and_encodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SETTLED_NS", -(10**12))  # the file has just been written
    rows = write_rows(tmp_path / "rows.tsv", 200)
    values = {"data__train": str(rows), "data__cache": str(tmp_path / "cache"), "tokenizer__vocab_size": 60}
    first, notes = load_dataset(make_config(**values), Reporter()), Notes()

    def fail(*_: object, **__: object) -> None:
        pytest.fail("the text was read or encoded again")

    monkeypatch.setattr(Tokenizer, "encode_packed", fail)
    monkeypatch.setattr(source, "parse_blocks", fail)
    again = load_dataset(make_config(**values), notes)
    assert again.tokenizer.model == first.tokenizer.model
    for part in ("train", "valid"):
        assert ids_of(getattr(again, part)) == ids_of(getattr(first, part))
        assert getattr(again, part).classes.tolist() == getattr(first, part).classes.tolist()
    assert "data: 180 texts to train on, 20 to stop on, 2 labels (coffee 90, tea 90)" in notes.lines


def test_what_is_held_out_is_a_part_of_the_same_files(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv", 200)
    dataset = load_dataset(make_config(data__train=str(rows), tokenizer__vocab_size=60), Reporter())
    assert dataset.train.ids is dataset.valid.ids
    assert dataset.train.rows is not None
    assert dataset.valid.rows is not None
    assert sorted([*dataset.train.rows, *dataset.valid.rows]) == list(range(200))


def test_labels_of_valid_are_classes_of_train(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv").write_text("tea\tgreen\ncoffee\tblack\ntea\twhite\n")
    (tmp_path / "valid.tsv").write_text("water\tcold\ntea\tgreen\nsoup\thot\ncoffee\tblack\nwater\twarm\n")
    config = make_config(
        data__train=str(tmp_path / "rows.tsv"), data__valid=str(tmp_path / "valid.tsv"), tokenizer__model_type="char"
    )
    notes = Notes()
    dataset = load_dataset(config, notes)
    assert dataset.labels == ("coffee", "tea")
    assert dataset.train.classes.tolist() == [1, 0, 1]
    assert dataset.valid.classes.tolist() == [-1, 1, -1, 0, -1]
    unknown = f"{tmp_path}/valid.tsv:1: label 'water' is not in the training text; 3 such texts are counted wrong"
    assert unknown in notes.lines


def test_the_held_out_rows_are_those_of_the_seed(tmp_path: Path) -> None:
    # drawn label by label in their order, whatever the order of the file
    (tmp_path / "rows.tsv").write_text("".join(f"{label}\t{label}{i}\n" for i in range(30) for label in "cab"))
    config = make_config(data__train=str(tmp_path / "rows.tsv"), tokenizer__model_type="char", train__seed=7)
    dataset = load_dataset(config, Reporter())
    classes = np.array([2, 0, 1] * 30)
    expected = hold_out(classes, 0.1, np.random.default_rng(7))
    assert dataset.valid.rows is not None
    assert dataset.valid.rows.tolist() == expected[1].tolist()
    assert np.bincount(dataset.valid.classes).tolist() == [3, 3, 3]


def test_reading_and_encoding_are_told_of(tmp_path: Path) -> None:
    told: list[str] = []

    class Loads(Reporter):
        def load(self, what: str, done: int, total: int | None) -> None:
            told.append(what)
            assert total is None or 0 < done <= total

    rows = write_rows(tmp_path / "rows.tsv", 210)
    load_dataset(make_config(data__train=str(rows), tokenizer__vocab_size=60), Loads())
    assert set(told) == {"reading rows.tsv", "encoding rows.tsv"}


def test_text_to_test_on_from_a_pipe_is_refused(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    with pytest.raises(ConfigError, match=r"data.test -: a pipe, which would be read twice"):
        load_dataset(make_config(data__train=str(rows), data__test="-"), Reporter())


def test_folds_share_the_tokenizer_and_the_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_rows(tmp_path / "rows.tsv", 60)
    values = {"data__train": str(rows), "tokenizer__vocab_size": 60, "data__cache": str(tmp_path / "cache")}
    notes = Notes()
    first = load_dataset(make_config(**values, data__fold="1/3"), notes)
    assert "part 1/3: 20 of 60 texts are held out (seed 42)" in notes.lines
    monkeypatch.setattr(Tokenizer, "encode_packed", lambda *_, **__: pytest.fail("the text was encoded again"))
    parts = [first, *(load_dataset(make_config(**values, data__fold=f"{k}/3"), Reporter()) for k in (2, 3))]
    assert len({part.tokenizer.model for part in parts}) == 1
    held = [row for part in parts if part.valid.rows is not None for row in part.valid.rows.tolist()]
    assert sorted(held) == list(range(60))
    assert [np.bincount(part.valid.classes).tolist() for part in parts] == [[10, 10]] * 3


def test_folds_share_the_words_of_the_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_rows(tmp_path / "rows.tsv", 60)
    (tmp_path / "words.txt").write_text("tea 1 2\nkettle 2 1\n59 3 3\n", encoding="utf-8")
    values = {"data__train": str(rows), "tokenizer__vocab_size": 60, "data__cache": str(tmp_path / "cache")}
    values["embedding__vectors"] = str(tmp_path / "words.txt")
    first = load_dataset(make_config(**values, data__fold="1/3"), Reporter())
    assert "kettle" in first.tokenizer.list_words().values()
    monkeypatch.setattr(tokenizer_setup, "choose_words", lambda *_, **__: pytest.fail("words were chosen again"))
    parts = [first, *(load_dataset(make_config(**values, data__fold=f"{k}/3"), Reporter()) for k in (2, 3))]
    assert len({part.tokenizer.model for part in parts}) == 1


def test_a_fold_of_the_demo_data_is_cut_from_its_training_text() -> None:
    dataset = load_dataset(make_config(data__fold="2/4"), Reporter())
    assert (len(dataset.train), len(dataset.valid)) == (504, 168)


def test_more_folds_than_texts_of_a_label_leave_some_empty(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv").write_text("tea\tgreen\ncoffee\tblack\ntea\twhite\ncoffee\tstrong\n")
    config = make_config(data__train=str(tmp_path / "rows.tsv"), tokenizer__model_type="char", data__fold="9/9")
    with pytest.raises(DataError, match="too few texts to hold some out"):
        load_dataset(config, Reporter())
