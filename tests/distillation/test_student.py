"""The rows that a student learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from samples import Recorder, make_config
from textrnn.config import DataConfig
from textrnn.data.reading.examples import read_examples
from textrnn.distillation.raw_text import RawText
from textrnn.distillation.student import Distillation
from textrnn.distillation.teacher import Teacher
from textrnn.errors import DataError, ModelError


class HalfSure:
    """A teacher that gives tea 0.8, and coffee the rest."""

    name, labels = "teacher", ("coffee", "juice", "tea")

    def __len__(self) -> int:
        return 1

    def predict(self, texts: Sequence[str], *, threads: int | None = None) -> np.ndarray:
        return np.tile(np.array([0.2, 0, 0.8], np.float32), (len(texts), 1))


def make_distillation(rows: Path, *, raw: str = "raw one\nraw two\n", **values: float) -> Distillation:
    Path("raw.txt").write_text(raw, encoding="utf-8")
    text = RawText(["raw.txt"], DataConfig(), lambda _: None)
    return Distillation(text, make_config(data__train=str(rows)), cast("Teacher", HalfSure()), fixed=values)


def test_labelled_rows_mix_the_true_label_and_raw_text_has_the_probabilities_of_the_teacher(rows: Path) -> None:
    recorder = Recorder()
    train, valid = make_distillation(rows, temperature=1.0, true_share=0.75).write(Path("out"), reporter=recorder)
    found = {example.text: example.distribution for example in read_examples(str(train), DataConfig())}
    held_out = [example.text for example in read_examples(str(valid), DataConfig())]
    assert (len(found), len(held_out)) == (38, 4)
    assert not found.keys() & set(held_out)
    coffee = next(text for text in found if "coffee" in text)
    assert found[coffee] == pytest.approx({"coffee": 0.8, "tea": 0.2})
    assert found["raw two"] == pytest.approx({"coffee": 0.2, "tea": 0.8})
    assert "2 raw texts labelled by teacher, added to 36 labelled rows" in recorder.notes


def test_true_labels_alone_need_no_teacher(rows: Path) -> None:
    train, _ = make_distillation(rows, temperature=0.5, true_share=1.0).write(Path("out"), reporter=Recorder())
    found = read_examples(str(train), DataConfig())
    assert [example.distribution for example in found[:36]] == [None] * 36
    assert found[36].distribution == pytest.approx({"coffee": 0.04 / 0.68, "tea": 0.64 / 0.68}, abs=1e-3)


def test_nothing_to_learn_from_and_unknown_labels_are_refused(rows: Path) -> None:
    with pytest.raises(DataError, match=r"raw.txt: has no text to learn from"):
        make_distillation(rows, raw="\n\n").write(Path("out"), reporter=Recorder())
    rows.write_text(rows.read_text().replace("tea\t", "wine\t"))
    with pytest.raises(ModelError, match=r"teacher: lacks the label 'wine' of rows.tsv; train the teacher on these"):
        make_distillation(rows).write(Path("out"), reporter=Recorder())
    assert not Path("out").exists()
