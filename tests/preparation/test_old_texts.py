"""Texts and labels that an initial model knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from continued import continued, load_continued, write_drinks
from samples import Recorder
from textrnn.data.encoded import Corpus
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.initial_config import inherit_settings
from textrnn.serialization.model_file import load_model
from textrnn.training.model_setup import resolve_config


def count(texts: Corpus | None) -> int:
    return 0 if texts is None else len(texts)


def test_the_old_validation_set_is_found_by_its_texts(old_run: Path) -> None:
    assert count(load_continued(write_drinks("new.tsv", "tea", "water", first=100)).old_valid) == 6
    Path("old.tsv").rename("moved.tsv")
    assert load_continued("new.tsv").old_valid is None
    both = Path("both.tsv")
    both.write_text(Path("new.tsv").read_text() + Path("moved.tsv").read_text())
    dataset = load_continued("both.tsv")
    assert count(dataset.old_valid) == 6
    assert len(dataset.train) + len(dataset.valid) == 100


def test_the_old_validation_set_is_found_in_other_windows(old_run: Path) -> None:
    new = write_drinks("new.tsv", "tea", "water", first=100)
    whole = load_continued(new, data__replay="old.tsv")
    short = load_continued(new, data__replay="old.tsv", data__max_length=3)
    assert count(short.old_valid) == count(whole.old_valid) == 6
    assert len(short.train) == len(whole.train)


def test_labels_that_seem_renamed_are_reported(old_run: Path) -> None:
    recorder = Recorder()
    load_dataset(inherit_settings(continued(write_drinks("new.tsv", "Tea", "water"))), recorder)
    expected = (
        "new.tsv: the label 'Tea' is new, but the initial model has 'tea'; if they mean the same, write the old one"
    )
    assert expected in recorder.notes
    load_dataset(inherit_settings(continued(write_drinks("new.tsv", "water"))), recorder)
    assert any(note.startswith("new.tsv: all labels are new, such as 'water', and none is") for note in recorder.notes)


def test_replayed_text_is_trained_on_except_the_old_validation_set(old_run: Path) -> None:
    dataset = load_continued(write_drinks("new.tsv", "tea", "water", first=100), data__replay="old.tsv")
    before = load_model(old_run).validation
    assert before is not None
    sets = (dataset.train, dataset.valid, dataset.old_valid, dataset.new_valid)
    assert [*map(count, sets)] == [90, 10, 6, 4]
    assert before.texts == len(before.hashes) == 6
    assert np.isin(before.hashes, dataset.valid_hashes).all()
    folds = [load_continued("new.tsv", data__replay="old.tsv", data__fold=f"{n}/2") for n in (1, 2)]
    assert [(len(fold.train), len(fold.valid)) for fold in folds] == [(74, 20)] * 2
    part = load_continued("new.tsv", data__replay="old.tsv", data__train_share=0.25)
    assert len(part.train) == 8 + 54


def test_other_old_text_is_held_out_like_new_text(old_run: Path) -> None:
    write_drinks("older.tsv", "tea", "coffee", first=1000)
    dataset = load_continued(write_drinks("new.tsv", "tea", "water", first=100), data__replay=["older.tsv"])
    assert (len(dataset.train), len(dataset.valid)) == (72, 8)
    valid = write_drinks("valid.tsv", "tea", first=500)
    given = load_continued("new.tsv", data__replay=["older.tsv"], data__valid=valid)
    assert (len(given.train), len(given.valid)) == (80, 40)


def test_new_text_may_have_a_single_label(old_run: Path) -> None:
    assert load_continued(write_drinks("new.tsv", "tea")).labels == ("coffee", "juice", "tea")


@pytest.mark.parametrize(
    ("labels", "values", "share"),
    [
        (("tea", "water"), {}, 0.5),
        (("tea", "coffee", "juice", "water"), {}, 0.0),
        (("tea", "water"), {"data__replay": "old.tsv"}, 0.0),
        (("tea", "water"), {"train__distill_share": 0.1}, 0.1),
    ],
)
def test_predictions_are_distilled_if_an_old_label_is_missing(
    old_run: Path, labels: tuple[str, ...], values: dict[str, object], share: float
) -> None:
    config = inherit_settings(continued(write_drinks("new.tsv", *labels, first=100), **values))
    assert resolve_config(config, load_dataset(config, Reporter())).train.distill_share == share
