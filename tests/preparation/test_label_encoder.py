"""Label encoders for single-label and multi-label data, and what a dataset makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from samples import MULTI_LABEL, Recorder, make_config
from textrnn.data.cache import Cache
from textrnn.data.labels import make_strata
from textrnn.data.reading.source import LabelledFile
from textrnn.errors import DataError
from textrnn.preparation.dataset import load_dataset
from textrnn.preparation.label_encoder import ScoreEncoder, make_label_encoder
from textrnn.reporter import Reporter

Read = Callable[..., LabelledFile]
DATA = make_config(**MULTI_LABEL).data


@pytest.fixture
def read(tmp_path: Path) -> Read:
    cache = Cache.open(str(tmp_path / "cache"), print)

    def read(*labels: str, multi_label: bool = True, name: str = "rows.tsv") -> LabelledFile:
        (tmp_path / name).write_text("".join(f"{label}\ttext {i}\n" for i, label in enumerate(labels)))
        config = make_config(**MULTI_LABEL) if multi_label else make_config()
        return LabelledFile(str(tmp_path / name), config.data, cache)

    return read


def test_a_label_is_a_class(read: Read) -> None:
    encoder = make_label_encoder(read("b", "a|c", "b", multi_label=False), make_config().data)
    assert encoder.labels == ("a|c", "b")
    assert encoder.label_sets is None
    assert encoder.encode(["b", "new", "a|c"]).tolist() == [1, -1, 0]
    groups = np.array([1, 0])
    assert make_strata(groups, [2, 1], None) is groups


def test_a_set_of_labels_is_a_class_in_any_order(read: Read) -> None:
    train, valid = read("b", "a|b", "", "b|a", "c"), read("new|a", "c", "b|a|c", "", name="valid.tsv")
    encoder = make_label_encoder(train, DATA)
    assert encoder.labels == ("a", "b", "c")
    classes = encoder.encode(train.labels)[train.classes]
    assert classes[1] == classes[3]
    assert len(set(classes.tolist())) == 4
    of_valid = encoder.encode(valid.labels)[valid.classes]
    assert of_valid[1] == classes[4]
    assert of_valid[3] == classes[2]
    assert encoder.label_sets is not None
    rows = [
        "".join(map(str, row)) for row in encoder.label_sets.to_multi_hot(np.append(classes, of_valid)).astype(int)
    ]  # the columns are a, b, c, and the label that only the validation set has
    assert rows == ["0100", "1100", "0000", "1100", "0010", "1001", "0010", "1110", "0000"]


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (["a|b", "b|a"], r"every text has the same labels \(a, b\)"),
        (["", ""], "no text has a label"),
        (["a", "b", ""], r"no label contains data.label_separator '\|'"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(read: Read, labels: list[str], fault: str) -> None:
    with pytest.raises(DataError, match=rf"rows\.tsv: {fault}"):
        make_label_encoder(read(*labels), DATA)


def test_rare_sets_of_labels_are_held_out_as_one_group(read: Read) -> None:
    file = read("a", "a", "b|a", "c|b", "c|a", "a|d", "a|b|c", "", "")
    encoder = make_label_encoder(file, DATA)
    groups = make_strata(encoder.encode(file.labels), file.counts, encoder.label_sets)[file.classes].tolist()
    assert groups[0] == groups[1] != groups[7] == groups[8]
    assert groups[2] == groups[3] == groups[4] == groups[6]
    assert groups.count(groups[5]) == 1  # no other text has d


def test_a_tenth_of_each_set_of_labels_is_held_out(rows: Path) -> None:
    labels = [label for label in ("a", "a|b", "b|a", "") for _ in range(50)]
    rows.write_text("".join(f"{label}\ttext {i}\n" for i, label in enumerate(labels)))
    recorder = Recorder()
    dataset = load_dataset(make_config(data__train=str(rows), tokenizer__vocab_size=30, **MULTI_LABEL), recorder)
    assert dataset.label_sets is not None
    held = dataset.label_sets.to_multi_hot(dataset.valid.classes).astype(int).tolist()
    assert (held.count([1, 0]), held.count([1, 1]), held.count([0, 0])) == (5, 10, 5)
    summary = "180 training texts, 20 validation texts, 2 labels (a 135, b 90), 1.25 per text, 45 texts without labels"
    assert f"data: {summary}" in recorder.notes


def test_labels_that_only_the_validation_set_has_are_reported(rows: Path) -> None:
    rows.write_text("a|b\tx\nb\ty\n")
    valid = Path("valid.tsv")
    valid.write_text("a\tx\na|new\ty\nnew|newer\tz\n")
    config = make_config(data__train=str(rows), data__valid=str(valid), tokenizer__model_type="char", **MULTI_LABEL)
    recorder = Recorder()
    assert load_dataset(config, recorder).labels == ("a", "b")
    (note,) = [note for note in recorder.notes if note.startswith("valid.tsv:2: label 'new'")]
    assert note.endswith("2 texts with such labels are scored as missing them")
    valid.write_text("\tx\nnew\ty\n")
    with pytest.raises(DataError, match=r"valid\.tsv:2: .* 'new'"):
        load_dataset(config, recorder)


def test_a_missing_separator_is_suspected(rows: Path) -> None:
    rows.write_text("a|b\tx\nb\ty\na|b\tz\nb\tw\n")
    recorder = Recorder()
    config = make_config(data__train=str(rows), data__multi_label=True, tokenizer__model_type="char")
    assert load_dataset(config, recorder).labels == ("a|b", "b")
    assert recorder.notes[-1].endswith("set data.label_separator")


def test_the_digest_depends_on_the_sets_of_labels(rows: Path) -> None:
    digests = set()
    for labels in ("a|b", "a", ""):
        rows.write_text(f"a|b\tx\n{labels}\ty\n" + "b\tz\nb\tz\n")
        values = {"data__train": str(rows), "data__valid": str(rows), "tokenizer__model_type": "char", **MULTI_LABEL}
        digests.add(load_dataset(make_config(**values), Reporter()).digest)
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("scores", "anchors"),
    [
        (["1", "0"], ["0", "1"]),
        (["0.3", "0.1", "0.2"], ["0", "0.1", "0.2", "0.3", "0.4"]),
        (["1", "2", "10"], ["0", "1", "2", "10", "18"]),
        (["9007199254740992", "9007199254740991", "0"], None),
    ],
    ids=["two", "tenths", "uneven", "as close as numbers can be"],
)
def test_the_anchors_of_scores_have_another_one_on_each_side(
    read: Read, scores: list[str], anchors: list[str] | None
) -> None:
    encoder = ScoreEncoder(read(*scores, multi_label=False))
    assert anchors is None or encoder.labels == tuple(anchors)
    assert (np.diff(encoder.anchors) > 0).all()
    assert encoder.anchors[encoder.encode(scores)].tolist() == [float(score) for score in scores]
