"""Out-of-fold probabilities in a file: round trip, and faults."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from samples import make_config, write_rows
from textrnn.config import dump_yaml
from textrnn.errors import DataError, ModelError
from textrnn.experiments.out_of_fold import OutOfFold, read_out_of_fold, read_training_set, write_out_of_fold

FOLDER = Path("folds")


@pytest.fixture
def written(rows: Path) -> OutOfFold:
    """The probabilities of two files, in FOLDER."""
    Path("more.tsv").write_text('\ntea\ta "quoted"\u2028text\ncoffee\tdritter\tTab\n', encoding="utf-8")
    config = make_config(data__train=[str(rows), "more.tsv"])
    texts = read_training_set(config.data)
    true = np.array([["coffee", "tea"].index(text.example.label) for text in texts])
    probabilities = np.full((len(texts), 2), 1 / 3, np.float32)
    out_of_fold = OutOfFold(texts, ("coffee", "tea"), true, probabilities)
    (FOLDER / "fold-1").mkdir(parents=True)
    (FOLDER / "fold-1" / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")
    write_out_of_fold(FOLDER / "out_of_fold.jsonl", out_of_fold)
    return out_of_fold


def test_what_was_written_is_read(written: OutOfFold) -> None:
    found = read_out_of_fold(FOLDER)
    assert (found.texts, found.labels) == (written.texts, written.labels)
    assert np.array_equal(found.true, written.true)
    assert found.probabilities == pytest.approx(written.probabilities, abs=1e-6)
    entries = [json.loads(line) for line in (FOLDER / "out_of_fold.jsonl").read_bytes().splitlines()]
    assert [(entry["file"], entry["line"]) for entry in entries[39:]] == [
        ("rows.tsv", 40),
        ("more.tsv", 2),
        ("more.tsv", 3),
    ]
    assert set(entries[0]["probabilities"]) == {"coffee", "tea"}


@pytest.mark.parametrize("line", ["coffee\tgreen tea with lemon please 0\n", "tea\tanother text\n"])
def test_a_changed_text_or_label_is_refused(written: OutOfFold, line: str) -> None:
    lines = Path("rows.tsv").read_text().splitlines(keepends=True)
    Path("rows.tsv").write_text("".join([line, *lines[1:]]))
    with pytest.raises(DataError, match=r"rows\.tsv:1: has changed"):
        read_out_of_fold(FOLDER)


def test_a_folder_without_probabilities_or_with_damaged_ones_is_refused(written: OutOfFold) -> None:
    with pytest.raises(ModelError, match="--kfold"):
        read_out_of_fold(FOLDER / "fold-1")
    for damaged in ("", "{}\n", "[1]\n", "half a li\n"):
        (FOLDER / "out_of_fold.jsonl").write_text(damaged)
        with pytest.raises(ModelError, match="damaged"):
            read_out_of_fold(FOLDER)


def test_the_demo_data_have_lines_too(rows: Path) -> None:
    texts = read_training_set(make_config().data)
    assert Path(texts[0].file).name == "train.tsv"
    assert texts[0].example.line_number == 1


def test_rows_of_skipped_records_keep_their_lines(rows: Path) -> None:
    write_rows(rows, 4)
    rows.write_text(rows.read_text() + "no tab\ntea\tthe last\n")
    texts = read_training_set(make_config(data__train=str(rows), data__on_error="skip").data)
    assert [text.example.line_number for text in texts] == [1, 2, 3, 4, 6]
