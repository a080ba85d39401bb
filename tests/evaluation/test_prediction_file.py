"""Tests of files of predictions."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.errors import DataError
from textrnn.evaluation.prediction_file import PredictionFile, read_predictions


def read(path: Path, content: bytes, *, texts: int = 2, separator: str | None = None) -> PredictionFile:
    path.write_bytes(content)
    return read_predictions(str(path), texts=texts, data="test.tsv", separator=separator, note=lambda _: None)


def test_labels_and_confidences(tmp_path: Path) -> None:
    found = read(tmp_path / "p.txt", "차\t0.5\r\ngreen tea\t1".encode())
    assert found.labels == ["차", "green tea"]
    assert found.confidence is not None
    assert found.confidence.tolist() == [0.5, 1]


def test_confidences_are_optional(tmp_path: Path) -> None:
    assert read(tmp_path / "p.txt", b"tea\ncoffee\n").confidence is None


def test_label_sets(tmp_path: Path) -> None:
    found = read(tmp_path / "p.txt", b"b|a\t0.9|0.8\n\t\na\t0.5\n", texts=3, separator="|")
    assert (found.labels, found.confidence) == (["a\tb", "", "a"], None)
    assert read(tmp_path / "p.txt", b"\n\n", separator="|").labels == ["", ""]  # predict --format label


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"tea\n\n", "2: has no label"),
        (b"tea\ntea\n\n", "3: has no label"),
        (b"\t0.5\ntea\t0.5\n", "1: has no label"),
        (b"tea\n", "2: is missing: test.tsv has 2 texts"),
        (b"", "1: is missing"),
        (b"tea\ntea\ntea\n", "3: one line too many: test.tsv has 2 texts"),
        (b"tea\t0.5\ttext\ntea\t0.5\ttext\n", "1: has 3 fields"),
        (b"tea\t0.5\ntea\n", "2: lacks a confidence"),
        (b"tea\ntea\t0.5\n", "2: has a confidence"),
        (b"tea\t90%\ntea\t80%\n", "1: confidence '90%' is not a number from 0 to 1"),
        (b"tea\t0.5\ntea\tnan\n", "2: confidence 'nan' is not"),
    ],
)
def test_faults_name_the_line(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path / "p.txt", content)
    assert str(caught.value).startswith(f"{tmp_path / 'p.txt'}:{message}")
    assert "\n" not in str(caught.value)
