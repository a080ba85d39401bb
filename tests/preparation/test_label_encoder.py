"""What a run learns to tell, from files with one label a text and with several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from samples import make_config
from textrnn.data.cache import Cache
from textrnn.data.labels import make_strata
from textrnn.data.source import LabelledFile
from textrnn.errors import DataError
from textrnn.preparation.dataset import load_dataset
from textrnn.preparation.label_encoder import make_label_encoder
from textrnn.reporter import Reporter

Read = Callable[..., LabelledFile]


class Notes(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    store = Cache.open(str(tmp_path / "cache"), print)

    def read(*labels: str, several: bool = True, name: str = "rows.tsv") -> LabelledFile:
        (tmp_path / name).write_text("".join(f"{label}\ttext {i}\n" for i, label in enumerate(labels)))
        config = make_config(data__multi_label=several, data__label_separator="|" if several else None)
        return LabelledFile(str(tmp_path / name), config.data, store)

    return read


SEVERAL = make_config(data__multi_label=True, data__label_separator="|").data


def test_one_label_is_a_class(read: Read) -> None:
    labelling = make_label_encoder(read("b", "a|c", "b", several=False), make_config().data)
    assert labelling.labels == ("a|c", "b")
    assert labelling.sets is None
    assert labelling.number(["b", "new", "a|c"]).tolist() == [1, -1, 0]
    groups = np.array([1, 0])
    assert make_strata(groups, [2, 1], None) is groups


def test_a_set_is_a_class_whatever_the_order_of_its_labels(read: Read) -> None:
    train, valid = read("b", "a|b", "", "b|a", "c"), read("new|a", "c", "b|a|c", "", name="valid.tsv")
    labelling = make_label_encoder(train, SEVERAL)
    assert labelling.labels == ("a", "b", "c")
    classes = labelling.number(train.labels)[train.classes]
    assert classes[1] == classes[3]
    assert len(set(classes.tolist())) == 4
    of_valid = labelling.number(valid.labels)[valid.classes]
    assert of_valid[1] == classes[4]
    assert of_valid[3] == classes[2]
    assert labelling.sets is not None
    # a, b, c, and what only valid has
    assert labelling.sets.to_multi_hot(classes).astype(int).tolist() == [
        [0, 1, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 1, 0],
    ]
    assert labelling.sets.to_multi_hot(of_valid).astype(int).tolist() == [
        [1, 0, 0, 1],
        [0, 0, 1, 0],
        [1, 1, 1, 0],
        [0, 0, 0, 0],
    ]


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (["a|b", "b|a"], r"every text has the same labels \(a, b\); training needs texts with different labels"),
        (["", ""], "no text has a label"),
        (["a", "b", ""], r"no label contains data.label_separator '\|'"),
    ],
)
def test_what_teaches_nothing_is_refused(read: Read, labels: list[str], fault: str) -> None:
    with pytest.raises(DataError, match=rf"rows\.tsv: {fault}"):
        make_label_encoder(read(*labels), SEVERAL)


def test_sets_that_stand_once_are_held_out_of_together(read: Read) -> None:
    file = read("a", "a", "b|a", "c|b", "c|a", "a|d", "a|b|c", "", "")
    labelling = make_label_encoder(file, SEVERAL)
    groups = make_strata(labelling.number(file.labels), file.counts, labelling.sets)[file.classes].tolist()
    assert groups[0] == groups[1] != groups[7] == groups[8]
    assert groups[2] == groups[3] == groups[4] == groups[6]
    assert groups.count(groups[5]) == 1  # d is its alone


def test_a_tenth_of_each_set_is_held_out(tmp_path: Path) -> None:
    rows = [label for label in ("a", "a|b", "b|a", "") for _ in range(50)]
    (tmp_path / "rows.tsv").write_text("".join(f"{label}\ttext {i}\n" for i, label in enumerate(rows)))
    values = {"data__multi_label": True, "data__label_separator": "|", "tokenizer__vocab_size": 30}
    notes = Notes()
    dataset = load_dataset(make_config(data__train=str(tmp_path / "rows.tsv"), **values), notes)
    assert dataset.sets is not None
    held = dataset.sets.to_multi_hot(dataset.valid.classes).astype(int).tolist()
    assert (held.count([1, 0]), held.count([1, 1]), held.count([0, 0])) == (5, 10, 5)
    summary = "data: 180 texts to train on, 20 to stop on, 2 labels (a 135, b 90), 1.25 a text, 45 texts without any"
    assert summary in notes.lines


def test_labels_that_only_valid_has_are_told(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv").write_text("a|b\tx\nb\ty\n")
    (tmp_path / "valid.tsv").write_text("a\tx\na|new\ty\nnew|newer\tz\n")
    values = {"data__multi_label": True, "data__label_separator": "|", "tokenizer__model_type": "char"}
    files = {"data__train": str(tmp_path / "rows.tsv"), "data__valid": str(tmp_path / "valid.tsv")}
    notes = Notes()
    dataset = load_dataset(make_config(**values, **files), notes)
    told = "valid.tsv:2: label 'new' is not in the training text; 2 texts have labels that it lacks, counted as missed"
    assert any(line.endswith(told) for line in notes.lines)
    assert dataset.labels == ("a", "b")
    (tmp_path / "valid.tsv").write_text("\tx\nnew\ty\n")
    with pytest.raises(DataError, match=r"valid\.tsv:2: no label of this file is in the training text; 'new' is not"):
        load_dataset(make_config(**values, **files), notes)


def test_labels_that_may_stand_together_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv").write_text("a|b\tx\nb\ty\na|b\tx\nb\ty\n")
    notes = Notes()
    config = make_config(data__train=str(tmp_path / "rows.tsv"), data__multi_label=True, tokenizer__model_type="char")
    assert load_dataset(config, notes).labels == ("a|b", "b")
    assert notes.lines[-1].startswith("no text has two labels; if they stand together in one field")


def test_the_digest_knows_the_sets(tmp_path: Path) -> None:
    digests = set()
    for labels in ("ab", "a", ""):
        (tmp_path / "rows.tsv").write_text(f"a|b\tx\n{'|'.join(labels)}\ty\n" + "b\tz\nb\tz\n")
        config = make_config(
            data__train=str(tmp_path / "rows.tsv"),
            data__multi_label=True,
            data__label_separator="|",
            data__valid=str(tmp_path / "rows.tsv"),
            tokenizer__model_type="char",
        )
        digests.add(load_dataset(config, Reporter()).digest)
    assert len(digests) == 3
