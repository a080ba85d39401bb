"""Raw text with probabilities."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from textrnn.config import DataConfig
from textrnn.data.cache import Cache
from textrnn.distillation.raw_text import RawText, fill
from textrnn.distillation.spool import Spool
from textrnn.distillation.teacher import Teacher
from textrnn.errors import DataError


class LengthTeacher:
    """The share of the first label is 1 / the length of the text."""

    def predict(self, texts: list[str], *, threads: int) -> np.ndarray:
        first = 1 / np.array([*map(len, texts)], np.float32)
        return np.stack([first, 1 - first], axis=1)


def make_raw(folder: Path, *lines: str, notes: list[str] | None = None) -> RawText:
    path = folder / "raw.txt.gz"
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    return RawText([str(path)], DataConfig(), [].append if notes is None else notes.append)


def test_a_teacher_labels_all_texts_in_order_except_blank_ones(tmp_path: Path) -> None:
    lines = [f"line {'x' * (number % 50)} {number}" for number in range(5000)]
    raw = make_raw(tmp_path, *lines[:10], "", "  ", *lines[10:])
    blocks = list(raw.label(cast("Teacher", LengthTeacher())))
    assert [text for texts, _ in blocks for text in texts] == lines
    found = np.concatenate([probabilities for _, probabilities in blocks])
    assert found[:, 0] == pytest.approx([1 / len(line) for line in lines])


def test_answers_belong_to_the_lines(tmp_path: Path) -> None:
    answers, notes = tmp_path / "answers.txt", []
    answers.write_text("a\n\nb\na\n")
    raw = make_raw(tmp_path, "one", "two", "three", " ", notes=notes)
    ((texts, probabilities),) = raw.pair(str(answers), ("a", "b"))
    assert texts == ["one", "three"]
    assert probabilities.tolist() == [[1, 0], [0, 1]]
    assert notes == [f"{answers}: 1 line has no answer; left out"]


@pytest.mark.parametrize(
    ("answers", "line", "reason"),
    [("a\n", 2, "is missing: the raw text has 3 lines"), ("a\nb\na\nb\n", 4, "is one too many: the raw text has 3")],
)
def test_other_numbers_of_answers_are_refused(answers: str, line: int, reason: str, tmp_path: Path) -> None:
    (tmp_path / "answers.txt").write_text(answers)
    with pytest.raises(DataError) as fault:
        list(make_raw(tmp_path, "one", "two", "three").pair(str(tmp_path / "answers.txt"), ("a", "b")))
    assert fault.value.line_number == line
    assert reason in fault.value.reason


def test_texts_of_the_validation_set_are_left_out(tmp_path: Path) -> None:
    notes: list[str] = []
    blocks = iter([(["Green  tea!", "coffee"], np.eye(2, dtype=np.float32))])
    with Spool(Cache(tmp_path).draft(), 2) as spool:
        fill(spool, blocks, held_out=["green tea"], note=notes.append)
        assert spool.select(np.array([0]))[0] == ["coffee"]
        assert len(spool) == 1
    assert notes == ["raw text: 1 text is in the validation set; left out"]
