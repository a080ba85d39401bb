"""Label distributions and weights from a file to a batch."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textrnn.config import DataConfig
from textrnn.data.batch import SoftLabels
from textrnn.data.cache import Cache
from textrnn.data.encoded import load_tokens
from textrnn.data.reading.source import LabelledFile
from textrnn.data.soft_labels import SoftLabelTable
from textrnn.data.windows import Windows
from textrnn.errors import DataError
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.window_encoding import encode_and_count

ROWS: list[Any] = ["a", {"a": 0.25, "b": 0.75}, "b", {"c": 1.0}, {"b": 0.5, "a": 0.5}]
WEIGHTS = [1, 0, 2.5, 1, 4]


def write(path: Path, labels: list[Any] = ROWS) -> None:
    rows = (
        {"text": f"text {n}", "label": label, "w": w} for n, (label, w) in enumerate(zip(labels, WEIGHTS, strict=False))
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def file(tmp_path: Path) -> LabelledFile:
    write(tmp_path / "rows.jsonl")
    return LabelledFile(str(tmp_path / "rows.jsonl"), DataConfig(weight="w"), Cache(tmp_path))


def test_a_file_keeps_labels_distributions_and_weights(file: LabelledFile) -> None:
    assert [file.labels[number] for number in file.classes] == ["a", "b", "b", "c", "b"]
    assert file.weights is not None
    assert file.weights.tolist() == WEIGHTS
    table = file.soft_labels
    assert isinstance(table, SoftLabelTable)
    assert (table.labels, table.rows.tolist()) == (["a", "b", "c"], [1, 3, 4])


def test_batches_have_their_distributions(file: LabelledFile, tokenizer: Tokenizer, tmp_path: Path) -> None:
    encode = partial(encode_and_count, tokenizer, windows=Windows(9, 1))
    corpus = load_tokens(
        file, encode, Cache(tmp_path), name="t", vocab_size=len(tokenizer), classes=np.array([2, 1, 0])
    )
    assert file.soft_labels is not None
    corpus = replace(corpus, soft_labels=replace(file.soft_labels, class_of=np.array([2, 1, 0])), weights=file.weights)
    batch = corpus.keep(np.array([4, 2, 1])).select(np.array([2, 0, 1]))  # rows 1, 4, 2
    assert batch.soft_labels is not None
    targets = np.zeros((3, 3), np.float32)
    batch.soft_labels.fill(targets)
    assert targets.tolist() == [[0, 0.75, 0.25], [0, 0.5, 0.5], [0, 0, 0]]
    assert batch.weights is not None
    assert batch.weights.tolist() == [0, 4, 2.5]
    assert corpus.select(np.array([0, 2])).soft_labels is None


def test_parts_of_a_batch_count_from_zero() -> None:
    soft = SoftLabels(np.array([0, 0, 2, 5]), np.array([0, 1, 1, 2]), np.array([0.5, 0.5, 1, 1], np.float32))
    part = soft.select(np.arange(1, 5))
    assert part is not None
    assert (part.rows.tolist(), part.classes.tolist()) == ([1], [1])


def test_labels_that_the_model_lacks_leave_their_share_to_the_others(file: LabelledFile) -> None:
    assert file.soft_labels is not None
    found = replace(file.soft_labels, class_of=np.array([0, -1, -1])).select(np.arange(5))
    assert found is not None
    assert (found.rows.tolist(), found.classes.tolist(), found.shares.tolist()) == ([1, 4], [0, 0], [1.0, 1.0])


def test_several_labels_keep_their_probabilities(file: LabelledFile) -> None:
    assert file.soft_labels is not None
    found = replace(file.soft_labels, class_of=np.array([0, -1, 2]), sums_to_1=False).select(np.arange(5))
    assert found is not None
    assert (found.rows.tolist(), found.shares.tolist()) == ([1, 3, 4], [0.25, 1.0, 0.5])


@pytest.mark.parametrize(
    ("label", "weight", "reason"),
    [({"a": 0.5}, 1, "sum to 0.5"), ("a", -1, "'w' is -1; it cannot be negative"), ("a", None, "'w' is missing")],
)
def test_bad_records_are_named(tmp_path: Path, label: Any, weight: Any, reason: str) -> None:
    rows = [{"text": "x", "label": "a", "w": 1}, {"text": "y", "label": label, "w": weight}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match=reason) as caught:
        LabelledFile(str(path), DataConfig(weight="w"), Cache(tmp_path))
    assert caught.value.line_number == 2


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_table_has_a_column_for_each_label(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / f"rows.{'csv' if delimiter == ',' else 'tsv'}"
    lines = [["text", "a", "b"], ["x", "0.2", "0.8"], ["y", "1", "0"]]
    path.write_text("".join(delimiter.join(line) + "\n" for line in lines), encoding="utf-8")
    file = LabelledFile(str(path), DataConfig(label_columns=["a", "b"]), Cache(tmp_path))
    assert [file.labels[number] for number in file.classes] == ["b", "a"]
    assert file.soft_labels is not None
    assert file.soft_labels.shares.tolist() == pytest.approx([0.2, 0.8, 1.0])
