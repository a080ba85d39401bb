"""Notes on duplicate, empty and truncated texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import Recorder, make_config
from textrnn.preparation.dataset import load_dataset
from textrnn.preparation.text_hashes import TextHasher


def notes_of(**values: object) -> list[str]:
    recorder = Recorder()
    load_dataset(make_config(tokenizer__model_type="char", **values), recorder)
    return [note for note in recorder.notes if note.startswith("data: ") and "training texts, " not in note]


def test_duplicates_across_sets_and_empty_and_truncated_texts_are_counted(rows: Path) -> None:
    long = "black coffee with milk and honey"
    train = ["tea\tgreen", "tea\tgreen", "coffee\tgreen", "tea\t", "coffee\t  ", f"coffee\t{long}", "tea\twhite"]
    rows.write_text("\n".join(train))
    Path("valid.tsv").write_text("tea\twhite\ntea\t\ncoffee\tnew one\ncoffee\tgreen\n")
    Path("test.tsv").write_text(f"tea\tgreen\nwater\tblue one\ncoffee\t{long}\ntea\twhite\n")
    paths = {"data__train": str(rows), "data__valid": "valid.tsv", "data__test": "test.tsv"}
    assert notes_of(**paths, data__max_length=20, data__long_texts="cut") == [
        "data: 2 training texts are duplicates (1 with another label); 2 of 4 validation texts are in the training "
        "set; 3 of 4 test texts are in the training set",
        "data: 3 texts are empty or one unknown token",
        "data: 2 texts are longer than data.max_length=20 tokens (13.3 %), which cuts off 19.4 % of all tokens (see "
        "data.long_texts); 'textrnn data check' lists them",
    ]


def test_a_single_text_is_reported_in_the_singular(rows: Path) -> None:
    rows.write_text("tea\tgreen\ntea\tgreen\ncoffee\tblack coffee\n")
    Path("valid.tsv").write_text("tea\tgreen\ntea\t\n")
    cut = {"data__max_length": 11, "data__long_texts": "cut"}
    assert notes_of(data__train=str(rows), data__valid="valid.tsv", **cut) == [
        "data: 1 training text is a duplicate; 1 of 2 validation texts is in the training set",
        "data: 1 text is empty or one unknown token",
        "data: 1 text is longer than data.max_length=11 tokens (20.0 %), which cuts off 6.2 % of all tokens (see "
        "data.long_texts); 'textrnn data check' lists them",
    ]


def test_texts_that_windows_do_not_cover_are_counted(rows: Path) -> None:
    rows.write_text(f"tea\tgreen\ncoffee\tblack coffee\ntea\tgreen tea\ncoffee\t{'honey' * 9}\n")
    Path("valid.tsv").write_text("tea\tgreen tea with milk\n")
    paths = {"data__train": str(rows), "data__valid": "valid.tsv", "data__max_length": 11}
    (note,) = notes_of(**paths)
    assert note == (
        "data: 1 text is longer than 3 windows of 11 tokens (20.0 %), which leave out 14.0 % of all tokens; "
        "'textrnn data check' lists them"
    )
    assert notes_of(**paths, data__long_texts="whole") == []


def test_clean_data_give_no_note(rows: Path) -> None:
    assert notes_of(data__train=str(rows)) == []


def test_held_out_texts_are_compared_and_the_result_is_cached(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows.write_text("".join(f"{'tea' if i % 2 else 'coffee'}\t{'abcdefgh'[i % 8]}\n" for i in range(40)))
    values = {"data__train": str(rows), "data__cache": "cache"}
    (note,) = first = notes_of(**values)
    assert note.startswith("data: 24 training texts are duplicates; ")  # equal texts are held out together
    assert "validation" not in note

    with monkeypatch.context() as patch:
        patch.setattr(TextHasher, "hash_all", lambda *_: pytest.fail("the texts were hashed again"))
        assert notes_of(**values) == first
    assert notes_of(**values, train__seed=7)  # the held-out texts are drawn with the seed
