"""What is said before training of texts that come again, are empty or are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samples import make_config, write_rows
from textrnn.data.encoded import Corpus
from textrnn.preparation import text_statistics
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter


class Notes(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def notes_of(**values: object) -> list[str]:
    notes = Notes()
    load_dataset(make_config(tokenizer__model_type="char", **values), notes)
    return [line for line in notes.lines if line.startswith("data: ") and "texts to train on" not in line]


def test_repeats_across_sets_other_labels_empty_and_cut_texts_are_counted(tmp_path: Path) -> None:
    long = "black coffee with milk and honey"
    train = ["tea\tgreen", "tea\tgreen", "coffee\tgreen", "tea\t", "coffee\t  ", f"coffee\t{long}", "tea\twhite"]
    (tmp_path / "train.tsv").write_text("\n".join(train))
    (tmp_path / "valid.tsv").write_text("tea\twhite\ntea\t\ncoffee\tnew one\ncoffee\tgreen\n")
    (tmp_path / "test.tsv").write_text(f"tea\tgreen\nwater\tblue one\ncoffee\t{long}\ntea\twhite\n")
    paths = {f"data__{part}": str(tmp_path / f"{part}.tsv") for part in ("train", "valid", "test")}
    assert notes_of(**paths, data__max_length=20) == [
        "data: 2 texts come again in the training text, 1 of them with another label; 2 of the 4 texts to stop on are "
        "in the training text too; 3 of the 4 texts to score on are in the training text too",
        "data: 3 texts are empty or one unknown piece; of 2 texts (13.3 %) data.max_length=20 pieces are read, and no "
        "more; 'textrnn data check' shows which",
    ]


def test_one_text_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("tea\tgreen\ntea\tgreen\ncoffee\tblack coffee\n")
    (tmp_path / "valid.tsv").write_text("tea\tgreen\ntea\t\n")
    paths = {f"data__{part}": str(tmp_path / f"{part}.tsv") for part in ("train", "valid")}
    assert notes_of(**paths, data__max_length=11) == [
        "data: 1 text comes again in the training text; 1 of the 2 texts to stop on is in the training text too",
        "data: 1 text is empty or one unknown piece; of 1 text (20.0 %) data.max_length=11 pieces are read, and no "
        "more; 'textrnn data check' shows which",
    ]


def test_nothing_is_said_of_clean_text(tmp_path: Path) -> None:
    assert notes_of(data__train=str(write_rows(tmp_path / "rows.tsv"))) == []


def test_what_is_held_out_is_compared_with_what_is_kept(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv").write_text("tea\tgreen\ncoffee\tblack\n" * 20)
    found = notes_of(data__train=str(tmp_path / "rows.tsv"))
    assert found == [
        "data: 34 texts come again in the training text; 4 of the 4 texts to stop on are in the training text too; "
        "'textrnn data check' shows which"
    ]


def test_a_second_run_does_not_look_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.tsv").write_text("tea\tgreen\ncoffee\tblack\n" * 20)
    values = {"data__train": str(tmp_path / "rows.tsv"), "data__cache": str(tmp_path / "cache")}
    first = notes_of(**values)

    def fail(*_: object) -> None:
        pytest.fail("the texts were hashed again")

    monkeypatch.setattr(text_statistics._Hasher, "hash_all", fail)
    assert notes_of(**values) == first
    monkeypatch.undo()
    assert notes_of(**values, train__seed=7)  # what is held out is drawn with the seed


def test_hashes_tell_texts_apart_by_pieces_and_places() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 6, 5000)
    offsets = np.append(0, np.cumsum(lengths))
    ids = rng.integers(0, 5, offsets[-1]).astype(np.uint16)
    corpus = Corpus(ids, offsets, np.zeros(5000, np.int32), np.zeros(1, np.int64))
    hashes = text_statistics._Hasher(5, 6).hash_all(corpus)
    texts = [tuple(ids[start:stop].tolist()) for start, stop in zip(offsets[:-1], offsets[1:], strict=True)]
    of_text: dict[tuple[int, ...], int] = {}
    assert all(of_text.setdefault(text, found) == found for text, found in zip(texts, hashes.tolist(), strict=True))
    assert len(set(of_text.values())) == len(of_text)
