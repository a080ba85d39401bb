"""Out-of-fold probabilities in a file: round trip, and faults."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from samples import make_config, write_rows
from textrnn.config import dump_yaml
from textrnn.errors import DataError, ModelError
from textrnn.evaluation.label_errors import find_label_errors
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


def test_low_probabilities_are_left_out_and_the_label_errors_stay(rows: Path) -> None:
    rng = np.random.default_rng(3)
    labels = tuple(f"label{index:02}" for index in range(40))
    true = rng.integers(0, 40, 400)
    rows.write_text("".join(f"{labels[index]}\ttext {row}\n" for row, index in enumerate(true)), encoding="utf-8")
    config = make_config(data__train=str(rows))
    logits = rng.normal(0, 2, (400, 40)) + 4 * (rng.permutation(np.eye(40)[true]) + np.eye(40)[true])
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    (FOLDER / "fold-1").mkdir(parents=True)
    (FOLDER / "fold-1" / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")
    path = FOLDER / "out_of_fold.jsonl"
    write_out_of_fold(path, OutOfFold(read_training_set(config.data), labels, true, probabilities))
    found = read_out_of_fold(FOLDER)
    assert 0.2 < np.count_nonzero(found.probabilities) / found.probabilities.size < 0.5
    kept = found.probabilities > 0
    assert found.probabilities[kept] == pytest.approx(probabilities[kept], rel=1e-5)
    assert probabilities[~kept].max() < 0.01
    expected, errors = (find_label_errors(each, true) for each in (probabilities, found.probabilities))
    assert len(expected) > 20
    assert dict(zip(errors.rows, errors.suggested, strict=True)) == dict(
        zip(expected.rows, expected.suggested, strict=True)
    )
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for entry, row in zip(entries, probabilities.tolist(), strict=True):  # as earlier versions wrote them
        entry["probabilities"] = dict(zip(labels, row, strict=True))
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    assert np.array_equal(read_out_of_fold(FOLDER).probabilities, probabilities)


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
