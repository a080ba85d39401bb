"""Rows with soft labels, as training reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from textrnn.config import DataConfig
from textrnn.data.reading.examples import Example, read_examples
from textrnn.distillation.soft_rows import write_examples, write_rows


def test_training_reads_the_targets_back(tmp_path: Path) -> None:
    path, texts = tmp_path / "rows.jsonl.zst", ['"tea" \\ \t', "커피", "both", "\ud800"]
    targets = np.array([[1, 0, 0], [0, 0, 1], [0.25, 0.0001, 0.7499], [0.5, 0.5, 0]], np.float32)
    write_rows(path, ("a", "큰 라벨", 'c"'), [(texts[:1], targets[:1]), (texts[1:], targets[1:])])
    found = read_examples(str(path), DataConfig())
    assert [example.text for example in found] == ['"tea" \\ \t', "커피", "both", "?"]
    assert [(example.label, example.distribution) for example in found[:2]] == [("a", None), ('c"', None)]
    assert found[2].distribution == pytest.approx({"a": 0.25, 'c"': 0.75}, abs=1e-3)
    assert found[3].distribution == pytest.approx({"a": 0.5, "큰 라벨": 0.5})


@pytest.mark.parametrize(
    ("first", "rest", "kept"),
    [(0, 1 / 5000, 5000), (0.5, 0.0001, 5001), (0.9901, 0.0099 / 5000, 1)],
    ids=["even", "half", "hundredth"],
)
def test_many_small_probabilities_are_kept_unless_their_sum_is_small(
    first: float, rest: float, kept: int, tmp_path: Path
) -> None:
    labels = ("first", *map(str, range(5000)), "never")
    targets = np.array([[first] + [rest] * 5000 + [0]], np.float32)
    write_rows(tmp_path / "rows.jsonl", labels, [(["text"], targets)])
    (example,) = read_examples(str(tmp_path / "rows.jsonl"), DataConfig())
    if kept == 1:
        assert (example.label, example.distribution) == ("first", None)
    else:
        assert example.distribution is not None
        assert len(example.distribution) == kept
        assert example.distribution.get("first", 0) == pytest.approx(first, abs=1e-3)


def test_examples_stay_as_they_are(tmp_path: Path) -> None:
    examples = [Example("a", "one", 1), Example("b", "two", 2, {"a": 0.25, "b": 0.75})]
    write_examples(tmp_path / "valid.jsonl", examples)
    assert read_examples(str(tmp_path / "valid.jsonl"), DataConfig()) == examples
