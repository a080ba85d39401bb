"""The n-gram branch of a run: what it is fitted on, when there is none, and that what is judged is what is saved."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from samples import make_config, write_rows, write_sets
from textrnn.errors import ConfigError
from textrnn.inference.engine import Engine
from textrnn.models.ngram.features import Spelling
from textrnn.preparation.dataset import Dataset, load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.model_file import load_model
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.training.ngram_model import fit_ngram_model
from textrnn.training.train import train

TINY = {"model__hidden": 4, "model__embedding": 8, "train__epochs": 2, "tokenizer__vocab_size": 80}


class Notes(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def load(path: Path, **values: object) -> Dataset:
    return load_dataset(make_config(data__train=str(path), **{**TINY, **values}), Reporter())


def test_it_learns_the_training_text_and_says_so(tmp_path: Path) -> None:
    dataset, notes = load(write_rows(tmp_path / "train.tsv")), Notes()
    table = fit_ngram_model(make_config(), dataset, notes)
    assert table is not None
    batch = dataset.valid.select(np.arange(len(dataset.valid)))
    logits = table.forward(batch.ids, batch.offsets, Spelling.of(dataset.tokenizer))
    assert (logits.argmax(axis=1) == batch.classes).all()
    assert [line.split(" fitted")[0] for line in notes.lines] == [
        f"n-grams: {len(table.keys):,} of words and characters,"
    ]


def test_a_heavier_penalty_gives_smaller_weights(tmp_path: Path) -> None:
    dataset = load(write_rows(tmp_path / "train.tsv"))
    sizes = []
    for penalty in (0.01, 0.1, 1.0):
        table = fit_ngram_model(make_config(ngrams__penalty=penalty), dataset, Reporter())
        assert table is not None
        sizes.append(float(np.square(table.weight).sum()))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2]


def test_there_is_none_with_a_share_of_zero(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "train.tsv")
    assert fit_ngram_model(make_config(ngrams__share=0), load(path), Reporter()) is None
    outcome = train(make_config(data__train=str(path), ngrams__share=0, **TINY), tmp_path / "x")
    saved = load_model(outcome.folder)
    assert (saved.ngrams, saved.ngram_share) == (None, 0.0)
    assert outcome.best.network_loss == outcome.best.valid_loss


def test_there_is_none_where_no_text_has_a_word(tmp_path: Path) -> None:
    """Blanks are pieces to a tokenizer that keeps them, and no n-grams."""
    keeping = {"remove_extra_whitespaces": False, "normalization_rule_name": "identity", "num_threads": 1}
    lines = [b"a  b   c"] * 20
    words = tmp_path / "words.model"
    words.write_bytes(train_tokenizer(lines, hard_vocab_limit=False, options=keeping).tokenizer.model)
    path = tmp_path / "train.tsv"
    path.write_text("".join(f"{'ab'[i % 2]}\t{' ' * (1 + i % 5)}\n" for i in range(40)), encoding="utf-8")
    config = make_config(data__train=str(path), tokenizer__model=str(words), **{**TINY, "tokenizer__vocab_size": 4000})
    notes = Notes()
    outcome = train(config, tmp_path / "run", reporter=notes)
    assert not any("n-grams" in line for line in notes.lines)
    saved = load_model(outcome.folder)
    assert (saved.ngrams, saved.ngram_share) == (None, 0.0)
    assert len(Engine(saved).predict(["a b", " "])) == 2


def test_weights_of_classes_count_in_it_too(tmp_path: Path) -> None:
    """A label that weighs more is given more often, as by the network."""
    path = write_rows(tmp_path / "train.tsv", 60)
    dataset = load(path)
    shares = []
    for weight in (1.0, 50.0):
        table = fit_ngram_model(make_config(train__class_weights={"tea": weight}), dataset, Reporter())
        assert table is not None
        shares.append(table.bias[dataset.labels.index("tea")] - table.bias[dataset.labels.index("coffee")])
    assert shares[1] > shares[0] + 0.3
    with pytest.raises(ConfigError, match="milk"):
        fit_ngram_model(make_config(train__class_weights={"milk": 2.0}), dataset, Reporter())


@pytest.mark.parametrize("several", [False, True])
def test_what_is_judged_is_what_is_saved(several: bool, tmp_path: Path) -> None:
    """The engine finds on valid the accuracy, the loss and the share that training found."""
    make = write_sets if several else write_rows
    path, valid = make(tmp_path / "train.tsv", 200), tmp_path / "valid.tsv"
    if several:
        write_sets(valid, 60, seed=2)
    else:
        write_rows(valid, 30)
    more = {"data__multi_label": True, "data__label_separator": "|"} if several else {}
    config = make_config(data__train=str(path), data__valid=str(valid), **TINY, **more)
    outcome = train(config, tmp_path / "run")
    model = load_model(outcome.folder)
    assert model.ngrams is not None
    assert 0 < model.ngram_share <= 1
    engine = Engine(model)
    rows = [line.split("\t", 1) for line in valid.read_text(encoding="utf-8").splitlines()]
    log_probabilities = engine.predict_log_probabilities([text for _, text in rows])
    if several:
        true = np.array([[label in joined.split("|") for label in model.labels] for joined, _ in rows])
        losses = -np.where(true, log_probabilities, np.log1p(-np.exp(log_probabilities))).sum(axis=1)
        given = engine.assign_labels(log_probabilities)
        assert outcome.best.accuracy == pytest.approx(float((given == true).all(axis=1).mean()))
    else:
        classes = [model.labels.index(label) for label, _ in rows]
        losses = -log_probabilities[np.arange(len(rows)), classes]
        assert outcome.best.accuracy == pytest.approx(float((log_probabilities.argmax(axis=1) == classes).mean()))
    assert outcome.best.valid_loss == pytest.approx(float(losses.mean()), rel=1e-4)


def test_a_share_that_is_said_is_kept(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "train.tsv")
    outcome = train(make_config(data__train=str(path), ngrams__share=0.25, **TINY), tmp_path / "run")
    assert load_model(outcome.folder).ngram_share == 0.25


def test_a_network_that_becomes_better_is_waited_for(tmp_path: Path) -> None:
    """n-grams have all labels right at once, and the network becomes better before it has a share."""
    path = write_rows(tmp_path / "train.tsv", 100)
    settings = {**TINY, "train__epochs": 6, "train__patience": 1, "train__metric": "accuracy", "ngrams__share": 1.0}
    outcome = train(make_config(data__train=str(path), **settings), tmp_path / "run")
    lines = (outcome.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 6
    assert {record["accuracy"] for record in records} == {1.0}
    assert [record["valid_loss"] for record in records] == pytest.approx([records[0]["valid_loss"]] * 6, rel=1e-5)
    assert outcome.best.epoch == 1
    assert all(a["network_loss"] > b["network_loss"] for a, b in pairwise(records))
    notes = Notes()  # and one that stays as it is is not
    still = make_config(data__train=str(path), **settings, train__lr=1e-30, train__weight_decay=0.0)
    train(still, tmp_path / "still", reporter=notes)
    lines = (tmp_path / "still" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert notes.lines[-1] == "stopped early: no better accuracy, nor loss on valid, in 1 epoch"


@pytest.mark.parametrize(("share", "told"), [("auto", True), (1.0, False)])
def test_a_network_without_a_share_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str | float, told: bool
) -> None:
    monkeypatch.setattr("textrnn.training.validation.fit_share", lambda *_: 1.0)
    path, notes = write_rows(tmp_path / "train.tsv", 100), Notes()
    train(make_config(data__train=str(path), **TINY, ngrams__share=share), tmp_path / "run", reporter=notes)
    assert any(line.startswith("on valid the n-grams alone are best") for line in notes.lines) is told


@pytest.mark.parametrize("penalty", [0.1, 1e3, 1e6])
def test_a_penalty_of_any_size_leaves_a_model_that_is_no_worse_than_the_network(penalty: float, tmp_path: Path) -> None:
    """Weights that are next to nothing say as much as others once they are at the network's temperature."""
    path, valid = (
        write_sets(tmp_path / "train.tsv", 200, doubt=0.2),
        write_sets(tmp_path / "valid.tsv", 80, seed=2, doubt=0.2),
    )
    config = make_config(
        data__train=str(path),
        data__valid=str(valid),
        data__multi_label=True,
        data__label_separator="|",
        ngrams__penalty=penalty,
        **TINY,
    )
    outcome = train(config, tmp_path / "run")
    assert outcome.best.valid_loss <= outcome.best.network_loss + 1e-6
    assert 0.05 < load_model(outcome.folder).temperature < 20
