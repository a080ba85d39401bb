"""Answers of other tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.distillation.answers import read_answers
from textrnn.errors import DataError

LABELS = ("a", "b", "c")
TOP = '{"label": "a", "top": [{"label": "a", "probability": 0.6}, {"label": "b", "probability": 0.3}]}'


def read(path: Path, content: str, labels: tuple[str, ...] = LABELS) -> list[list[float] | None]:
    path.write_text(content, encoding="utf-8")
    found = read_answers(str(path), labels, note=lambda _: None)
    return [None if row is None else pytest.approx(row.tolist()) for row in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("b", [0, 1, 0]),
        ('"b"', [0, 1, 0]),
        ('{"a": 0.7, "c": 0.3}', [0.7, 0, 0.3]),
        ('{"a": "0.7", "c": 0.302}', [0.7 / 1.002, 0, 0.302 / 1.002]),
        ('{"label": "a"}', [1, 0, 0]),
        ('{"label": "a", "probability": 0.5}', [0.5, 0.25, 0.25]),
        ('{"label": {"a": 0.5, "b": 0.5}}', [0.5, 0.5, 0]),
        ('{"probabilities": {"a": 0.2, "b": 0.3, "c": 0.5}}', [0.2, 0.3, 0.5]),
        (TOP, [0.6, 0.3, 0.1]),
        ("a\t0.5", [0.5, 0.25, 0.25]),
        ("a\t0.6\tb\t0.4", [0.6, 0.4, 0]),
        ("0.2\t0.3\t0.5", [0.2, 0.3, 0.5]),
        ("", None),
        ("  ", None),
        ("null", None),
        ('{"label": null}', None),
        ('{"label": null, "probability": null}', None),
        ('{"probabilities": null}', None),
    ],
)  # fmt: skip
def test_forms(line: str, expected: list[float] | None, tmp_path: Path) -> None:
    assert read(tmp_path / "answers.txt", f"{line}\r\nb\n") == [expected, [0, 1, 0]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("d", "label 'd' is not in the labelled rows, which have a, b, c"),
        ('{"d": 1}', "label 'd' is not in the labelled rows"),
        ('{"a": 0.7, "b": 0.7}', "the probabilities of the labels sum to 1.4, not to 1"),
        ('{"a": NaN, "b": 0.7}', "'a' should be a number, not 'nan'"),
        ('{"a": -0.5, "b": 1.5}', "'a' is -0.5; it cannot be negative"),
        ('{"a": 0.7', "not JSON"),
        ("[1]", "should be a label, or an object"),
        ("{}", "should be a label, or an object"),
        ('{"label": 3}', "label '3' is not in the labelled rows"),
        ('{"label": ["a"]}', "'label' should hold a label"),
        ("[" * 100_000, "not JSON"),
        ("a\t0.5\ta\t0.5", "the label 'a' is given twice"),
        ('{"a": 0.5, "a": 0.5}', "the key 'a' is given twice"),
        ('{"label": {"a": 0.5, "a": 0.5}}', "the key 'a' is given twice"),
        ('{"top": [{"label": "a", "probability": 0.5}, {"label": "a"}]}', "the label 'a' is given twice"),
        ("nan\t0.5\t0.5", "'a' should be a number, not 'nan'"),
        ("0.5\t0.5\t0.5", "the probabilities of the labels sum to 1.5, not to 1"),
        ("a\tb\tc", "has 3 fields"),
        ("a\t1.5", "it cannot be above 1"),
    ],
)
def test_faults(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as fault:
        read(tmp_path / "answers.txt", f"a\n\n{line}\n")
    assert fault.value.line_number == 3
    assert reason in fault.value.reason


def test_probabilities_and_labels_that_are_numbers_are_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="write JSON"):
        read(tmp_path / "answers.txt", "0\t1.0\n", ("0", "1.0"))


@pytest.mark.parametrize("line", ["1", '"1"', '{"label": 1}', '{"label": 1, "probability": 1}', '{"1": 1}'])
def test_a_label_may_be_a_number(line: str, tmp_path: Path) -> None:
    assert read(tmp_path / "answers.txt", f"{line}\n1.0\n", ("1", "1.0")) == [[1, 0], [0, 1]]


def test_a_label_may_look_like_json(tmp_path: Path) -> None:
    assert read(tmp_path / "answers.txt", "null\n[1]\n", ("[1]", "null")) == [[0, 1], [1, 0]]
