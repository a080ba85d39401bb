"""From files to packed sets: holding out, labels, tokenizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samples import make_config, write_rows
from textrnn.corpus.batching import Corpus
from textrnn.errors import DataError
from textrnn.tokenizer import Tokenizer, train_tokenizer
from textrnn.training.dataset import load_dataset
from textrnn.training.reporter import Reporter


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
