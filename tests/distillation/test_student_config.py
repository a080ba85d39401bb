"""The configs of a distillation."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import make_config
from textrnn.config import Override
from textrnn.distillation.student_config import FAST, list_unused, make_labelled_config, make_student_config
from textrnn.errors import ConfigError, ModelError


def test_without_rows_of_its_own_a_student_has_those_that_the_teacher_held_out(rows: Path) -> None:
    teacher = make_config(data__train=str(rows), data__fold="1/5", data__label="1", data__text="2", train__seed=7)
    found = make_labelled_config([Override("train.seed", 3, "--seed 3")], teacher)
    assert (found.data.train, found.data.label, found.data.fold, found.train.seed) == (str(rows), "1", None, 7)


def test_named_rows_replace_those_of_the_teacher(rows: Path) -> None:
    teacher = make_config(data__train=str(rows), data__label="1", data__text="2")
    found = make_labelled_config([Override("data.train", "own.tsv", "--train own.tsv")], teacher)
    assert (found.data.train, found.data.label) == ("own.tsv", None)


def test_rows_that_are_gone_are_missed_at_once() -> None:
    with pytest.raises(ModelError, match=r"its file gone.tsv is not there; name labelled rows with --train, and"):
        make_labelled_config([], make_config(data__train="gone.tsv"), name="runs/teacher")
    with pytest.raises(ConfigError, match="name them with --train"):
        make_labelled_config([], None)


def test_rows_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    raw = tmp_path / "distilled-0123abcd" / "train.jsonl.zst"
    raw.parent.mkdir()
    raw.write_bytes(b"")
    for values, reason in (
        ({"data__train": "-"}, "was trained on standard input; name labelled rows with --train"),
        ({"data__train": str(raw)}, "is a student, whose training set has raw text; name labelled rows"),
        ({"data__train": __file__, "data__valid_share": 0.0, "train__refit": "run"}, "was trained on all of its texts"),
    ):
        with pytest.raises(ModelError, match=f"runs/teacher: {reason}"):
            make_labelled_config([], make_config(**values), name="runs/teacher")


def test_other_files_replace_those_of_the_teacher() -> None:
    teacher = make_config(data__train=__file__, data__valid="gone.tsv", data__label_columns=["a", "b"])
    overrides = [Override("data.valid", "new.tsv", "--valid new.tsv"), Override("data.label", "intent", "--set")]
    found = make_labelled_config(overrides, teacher, name="runs/teacher").data
    assert (found.train, found.valid, found.label, found.label_columns) == (__file__, "new.tsv", "intent", None)


def test_what_a_student_does_not_take_from_its_teacher_is_told() -> None:
    assert list_unused(make_config()) == []
    weighted = make_config(data__train="rows.tsv", data__weight="w", data__fold="1/5")
    assert [line.split(" (")[0] for line in list_unused(weighted)] == [
        "the weights of the teacher's rows",
        "the validation set has training texts of the teacher",
    ]


@pytest.mark.parametrize("key", ["data.weight", "data.multi_label", "data.test", "train.refit"])
def test_keys_that_a_student_cannot_have_are_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=f"--set {key}=x: "):
        make_labelled_config([Override(key, "x", f"--set {key}=x")], make_config())


def test_the_student_reads_its_own_rows_and_is_trained_as_asked() -> None:
    asked = {"data.label": "intent", "data.train": "a.csv", "data.max_length": 64, "model.hidden": 32}
    overrides = [Override(key, value, key) for key, value in asked.items()]
    found = make_student_config(overrides, train=Path("train.jsonl"), valid=Path("valid.jsonl"))
    assert found == make_config(
        data__train="train.jsonl", data__valid="valid.jsonl", data__max_length=64, model__hidden=32
    )


def test_the_user_may_change_a_fast_student() -> None:
    overrides = [*FAST, Override("model.hidden", 96, "--hidden 96")]
    found = make_student_config(overrides, train=Path("train.jsonl"), valid=Path("valid.jsonl"))
    assert (found.model.layers, found.model.hidden, found.model.bidirectional) == (1, 96, False)
