"""Training on texts with several labels: it learns, keeps thresholds with the best weights, and ends as it should."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from samples import TOPICS, make_config, write_sets
from textrnn.config import Config
from textrnn.data.batch import pack
from textrnn.data.formats import read_examples
from textrnn.data.labels import split_labels
from textrnn.errors import StoppedError
from textrnn.evaluation.multi_label import evaluate_multi_label
from textrnn.inference.engine import Engine
from textrnn.models.calibration import fit_temperature
from textrnn.models.classifier import Classifier
from textrnn.reporter import EpochRecord, Reporter
from textrnn.serialization.model_file import load_model
from textrnn.training.train import resume, train

LABELS = tuple(sorted(TOPICS))


class Recorder(Reporter):
    """Keeps the records; sends this process a signal in the step ``at``."""

    def __init__(self, at: int = 0) -> None:
        self.records: list[EpochRecord] = []
        self.notes: list[str] = []
        self.at, self.steps = at, 0

    def note(self, message: str) -> None:
        self.notes.append(message)

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        self.steps += 1
        if self.steps == self.at:
            os.kill(os.getpid(), signal.SIGTERM)

    def end_epoch(self, record: EpochRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def small(path: Path, **values: object) -> Config:
    defaults = {
        "data__train": str(path),
        "data__multi_label": True,
        "data__label_separator": "|" if path.suffix == ".tsv" else None,
        "tokenizer__vocab_size": 120,
        "model__hidden": 8,
        "model__embedding": 16,
        "model__dropout": 0.1,
        "train__epochs": 6,
        "train__batch_size": 8,
        "train__lr": 0.02,
    }
    return make_config(**(defaults | values))


def read_sets(path: Path) -> tuple[np.ndarray, list[str]]:  # type: ignore[type-arg]
    examples = read_examples(str(path), small(path).data)
    true = np.array([[label in split_labels(example.label) for label in LABELS] for example in examples])
    return true, [example.text for example in examples]


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
def test_it_learns_and_prints_what_scikit_learn_finds(cell: str, tmp_path: Path) -> None:
    rows, valid = write_sets(tmp_path / "rows.tsv", 300), write_sets(tmp_path / "valid.tsv", 100, seed=2)
    recorder = Recorder()
    # without n-grams, which learn these texts alone
    config = small(rows, data__valid=str(valid), model__cell=cell, ngrams__share=0)
    best = train(config, tmp_path / "run", reporter=recorder).best
    assert best.micro_f1 > 0.95
    assert best.loss < recorder.records[0].loss
    assert max(record.micro_f1 for record in recorder.records) == best.micro_f1  # the metric, as none is said
    # the saved model gives on valid what was printed
    true, texts = read_sets(valid)
    found = [{p.label for p in row} for row in Engine.load(tmp_path / "run").predict(texts)]
    given = np.array([[label in labels for label in LABELS] for labels in found])
    assert best.micro_f1 == pytest.approx(f1_score(true, given, average="micro"))
    assert best.macro_f1 == pytest.approx(f1_score(true, given, average="macro"))
    assert best.weighted_f1 == pytest.approx(f1_score(true, given, average="weighted"))
    assert best.accuracy == pytest.approx(accuracy_score(true, given))
    evaluation = evaluate_multi_label(Engine.load(tmp_path / "run"), read_examples(str(valid), small(valid).data))
    assert evaluation.micro_f1 == pytest.approx(best.micro_f1)
    assert evaluation.loss == pytest.approx(best.valid_loss, abs=1e-5)
    assert evaluation.loss < evaluation.loss_uncalibrated
    # the temperature is that of the scores on valid
    engine = Engine.load(tmp_path / "run")
    assert engine.temperature == pytest.approx(fit_temperature(engine.predict_logits(texts), true), rel=1e-4)


def test_the_saved_model_is_the_network(tmp_path: Path) -> None:
    rows = write_sets(tmp_path / "rows.tsv")
    train(small(rows, train__epochs=1, ngrams__share=0), tmp_path / "run")
    model = load_model(tmp_path / "run")
    network = Classifier(len(model.tokenizer), len(LABELS), **model.config.model.model_dump()).eval()
    network.import_weights(model.weights)
    _, texts = read_sets(rows)
    batch = pack(model.tokenizer.encode_all(texts, max_length=512))
    with torch.no_grad():
        logits = torch.from_numpy(network.predict_logits(batch))
    wanted = (logits / model.temperature).sigmoid().numpy()
    found = Engine(model).predict(texts, threshold=0.0)
    for row, labels in zip(wanted, found, strict=True):
        assert [p.label for p in labels] == [LABELS[index] for index in np.argsort(-row, kind="stable")]
        assert [p.probability for p in labels] == pytest.approx(sorted(row, reverse=True), abs=1e-5)
    assert model.thresholds is not None
    given = [{p.label for p in labels} for labels in Engine(model).predict(texts)]
    for row, labels in zip(wanted, given, strict=True):
        assert labels == {label for label, p, least in zip(LABELS, row, model.thresholds, strict=True) if p >= least}


@pytest.mark.parametrize("cell", ["sru", "gru"])
def test_tuned_thresholds_beat_one_half_where_labels_are_rare(cell: str, tmp_path: Path) -> None:
    rows = write_sets(tmp_path / "rows.tsv", 600, doubt=0.6)  # no topic makes its label likelier than 0.4
    valid, test = (write_sets(tmp_path / f"{n}.tsv", 300, seed=n, doubt=0.6) for n in (2, 3))
    train(small(rows, data__valid=str(valid), model__cell=cell, train__epochs=4), tmp_path / "run")
    engine, examples = Engine.load(tmp_path / "run"), read_examples(str(test), small(test).data)
    tuned, half = evaluate_multi_label(engine, examples), evaluate_multi_label(engine, examples, threshold=0.5)
    assert tuned.micro_f1 > half.micro_f1 + 0.1
    assert tuned.macro_f1 > half.macro_f1 + 0.1


def test_fasttexts_labels_make_the_same_model(tmp_path: Path) -> None:
    weights = []
    for name in ("rows.tsv", "rows.txt"):
        train(small(write_sets(tmp_path / name), train__epochs=1), tmp_path / f"run-{name}")
        model = load_model(tmp_path / f"run-{name}")
        assert model.ngrams is not None
        tables = [getattr(model.ngrams, name).tobytes() for name in ("keys", "idf", "weight", "bias")]
        numbers = (model.thresholds, model.temperature, model.ngram_share)
        weights.append((model.labels, numbers, tables, {k: v.tobytes() for k, v in model.weights.items()}))
    assert weights[0] == weights[1]


@pytest.mark.parametrize("steps", [(1,), (23, 1, 25), (69,)], ids=str)
def test_a_stopped_run_ends_as_one_that_was_not(steps: tuple[int, ...], tmp_path: Path) -> None:
    config = small(write_sets(tmp_path / "rows.tsv"), train__epochs=4, train__lr=0.005)
    train(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "parts", reporter=Recorder(steps[0]))
    for step in steps[1:]:
        with pytest.raises(StoppedError):
            resume(tmp_path / "parts", reporter=Recorder(step))
    resume(tmp_path / "parts")
    for name in ("model.safetensors", "config.yaml"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert load_model(tmp_path / "parts").ngrams is not None


def test_a_batch_in_parts_gives_the_same(tmp_path: Path) -> None:
    rows = write_sets(tmp_path / "rows.tsv", 101)  # the last batch has fewer texts than parts
    losses = []
    for parts in (1, 3, 8):
        recorder = Recorder()
        config = small(rows, model__dropout=0.0, train__accumulate=parts, train__epochs=2)
        train(config, tmp_path / f"run{parts}", reporter=recorder)
        losses.append([(record.loss, record.valid_loss) for record in recorder.records])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-4)


def test_a_mean_of_the_weights_has_thresholds_of_its_own(tmp_path: Path) -> None:
    valid = write_sets(tmp_path / "valid.tsv", 100, seed=2)
    config = small(write_sets(tmp_path / "rows.tsv"), data__valid=str(valid), train__ema=0.9, ngrams__share=0)
    outcome = train(config, tmp_path / "run")
    found = evaluate_multi_label(Engine.load(tmp_path / "run"), read_examples(str(valid), config.data))
    assert found.micro_f1 == pytest.approx(outcome.best.micro_f1)
    assert found.micro_f1 > 0.9


@pytest.mark.parametrize("key", ["label_smoothing", "focal_gamma", "class_weights"])
def test_losses_of_all_kinds_learn(key: str, tmp_path: Path) -> None:
    values = {"label_smoothing": 0.1, "focal_gamma": 1.0, "class_weights": "balanced"}
    config = small(write_sets(tmp_path / "rows.tsv"), ngrams__share=0, **{f"train__{key}": values[key]})
    assert train(config, tmp_path / "run").best.micro_f1 > 0.9


def test_it_learns_in_bfloat16(tmp_path: Path) -> None:
    config = small(write_sets(tmp_path / "rows.tsv"), train__precision="bf16", train__epochs=10, ngrams__share=0)
    outcome = train(config, tmp_path / "run")
    assert outcome.best.micro_f1 > 0.9


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1", "loss"])
def test_the_metric_that_is_said_decides(metric: str, tmp_path: Path) -> None:
    recorder = Recorder()
    config = small(write_sets(tmp_path / "rows.tsv"), train__metric=metric, train__epochs=3, ngrams__share=0)
    outcome = train(config, tmp_path / "run", reporter=recorder)
    if metric == "loss":
        assert outcome.best.valid_loss == min(record.valid_loss for record in recorder.records)
    else:
        assert getattr(outcome.best, metric) == max(getattr(record, metric) for record in recorder.records)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["micro_f1"] for line in lines] == [record.micro_f1 for record in recorder.records]


def test_one_label_or_none(tmp_path: Path) -> None:
    rows = write_sets(tmp_path / "rows.tsv")
    lines = [line.split("\t") for line in rows.read_text().splitlines()]
    rows.write_text("".join(f"{'refund' if 'refund' in labels else ''}\t{text}\n" for labels, text in lines))
    outcome = train(small(rows, data__label_separator=None), tmp_path / "run")
    assert outcome.best.micro_f1 > 0.9
    found = Engine.load(tmp_path / "run").predict(["please refund the difference, again", "lovely shop, again"])
    assert [[p.label for p in labels] for labels in found] == [["refund"], []]
