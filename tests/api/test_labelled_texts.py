"""Labelled text that a program holds in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textrnn.api.labelled_texts import check_path, make_examples, write_examples
from textrnn.data.reading.examples import Example


def test_labels_may_be_text_numbers_or_collections() -> None:
    texts = ["a", "b", "c", "d", "e"]
    labels = ["tea", 3, np.int64(4), np.str_("x"), ("z", "y", 1)]
    expected = [Example(*row) for row in zip(["tea", "3", "4", "x", "1\ty\tz"], texts, range(1, 6), strict=True)]
    assert make_examples(texts, labels) == expected
    assert make_examples(np.array(texts), np.array([1, 2, 3, 4, 5]))[4] == Example("5", "e", 5)
    assert make_examples(["a"], [set()]) == [Example("", "a", 1)]


@pytest.mark.parametrize(
    ("texts", "labels", "error", "message"),
    [
        (["a"], None, TypeError, "labels are missing: give one for each text"),
        (["a"], "b", TypeError, "labels should be a list with one for each text, not str"),
        (["a"], ["b", "c"], ValueError, "2 labels for 1 text: give one for each"),
        ([], [], ValueError, "there are no texts"),
        (["a", "b"], ["c", None], TypeError, r"labels\[1\] should be a str or an int, not None"),
        (["a", "b"], ["c", float("nan")], TypeError, r"labels\[1\] should be a str or an int, not nan"),
        (["a"], [1.5], TypeError, r"labels\[0\] should be a str or an int, not float"),
        (["a"], [True], TypeError, r"labels\[0\] should be a str or an int, not bool"),
        (["a"], [["b", 1.5]], TypeError, r"labels\[0\] should be a str or an int, not float"),
        (["a"], ["b\tc"], ValueError, r"labels\[0\] is blank, or contains a tab or line break"),
        (["a"], [" "], ValueError, r"labels\[0\] is blank"),
        ([1], ["b"], TypeError, r"texts\[0\] should be a str, not int"),
    ],
)
def test_faults(texts: Any, labels: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_examples(texts, labels)


def test_a_file_has_its_own_labels(tmp_path: Path) -> None:
    assert check_path(tmp_path / "x.tsv", None) == str(tmp_path / "x.tsv")
    with pytest.raises(TypeError, match=r"labels: the file 'x\.tsv' has its own; leave them out"):
        check_path("x.tsv", ["a"])


@pytest.mark.parametrize(("multi_label", "label"), [(False, "a"), (True, ["a", "b"])])
def test_examples_are_written_as_objects(tmp_path: Path, multi_label: bool, label: object) -> None:
    write_examples(tmp_path / "x", make_examples(['say "\n', "한"], [label] * 2), multi_label=multi_label)
    rows = [json.loads(line) for line in (tmp_path / "x").read_text(encoding="utf-8").splitlines()]
    assert rows == [{"text": text, "label": label} for text in ('say "\n', "한")]
