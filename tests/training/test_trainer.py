"""The trainer: early stopping, the best epoch, batches in parts, weight averages, and its state."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from samples import Recorder, make_record, read_metrics, small_config, small_multi_label_config, write_rows, write_sets
from textrnn.config import load_config
from textrnn.data import windows
from textrnn.data.reading.examples import read_examples
from textrnn.data.windows import Windows
from textrnn.errors import DataError
from textrnn.evaluation import metrics
from textrnn.evaluation.labelled_text import evaluate_examples
from textrnn.evaluation.multi_label import evaluate_multi_label
from textrnn.inference.engine import Engine
from textrnn.models.calibration import PENALTY, fit_temperature
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.model_file import load_model
from textrnn.training.train import train
from textrnn.training.trainer import TrainerState

RUN = Path("run")


def test_early_stopping_keeps_the_best_weights(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "FEW_TEXTS", 0)  # an epoch counts by itself
    settings = {"train__epochs": 30, "train__patience": 2, "train__metric": "loss", "train__lr": 0.3}
    config = small_config(rows, data__valid=str(rows), ngrams__share=0, **settings)
    recorder = Recorder()
    outcome = train(config, RUN, reporter=recorder)
    losses = [record.valid_loss for record in recorder.records]
    assert outcome.best.valid_loss == min(losses)
    assert [record.best for record in recorder.records] == [
        loss == min(losses[: i + 1]) and loss not in losses[:i] for i, loss in enumerate(losses)
    ]
    assert len(losses) == outcome.best.epoch + 2 < 30
    assert recorder.notes[-1] == "early stopping: validation loss did not improve for 2 epochs"
    # the saved model gives the loss of the best epoch
    engine = Engine.load(RUN)
    pairs = [line.split("\t") for line in rows.read_text().splitlines()]
    logits = engine.predict_logits([text for _, text in pairs])
    classes = np.array([engine.labels.index(label) for label, _ in pairs])
    assert engine.temperature == pytest.approx(fit_temperature(logits, classes, penalty=PENALTY), rel=1e-4)
    assert engine.temperature != 1.0
    mean = -engine.to_log_probabilities(logits)[np.arange(len(pairs)), classes].mean()
    assert mean == pytest.approx(outcome.best.valid_loss, abs=1e-5)


def test_training_continues_while_the_network_alone_improves(rows: Path) -> None:
    """The n-grams are right at once; the network must improve before it gets a share."""
    write_rows(rows, 100)
    settings = {"train__epochs": 6, "train__patience": 1, "train__metric": "accuracy", "ngrams__share": 1.0}
    settings |= {"train__batch_size": 8, "model__hidden": 4, "model__embedding": 8}
    outcome = train(small_config(rows, **settings, train__lr=0.003), RUN)
    records = read_metrics(RUN)
    assert len(records) == 6
    assert {record["accuracy"] for record in records} == {1.0}
    assert [record["valid_loss"] for record in records] == pytest.approx([records[0]["valid_loss"]] * 6, rel=1e-5)
    assert outcome.best.epoch == 1
    assert all(a["network_loss"] > b["network_loss"] for a, b in pairwise(records))
    recorder = Recorder()
    still = small_config(rows, **(settings | {"train__lr": 1e-30, "train__weight_decay": 0.0}))
    train(still, Path("still"), reporter=recorder)
    assert len(read_metrics("still")) == 2
    assert recorder.notes[-1] == "early stopping: validation accuracy and loss did not improve for 1 epoch"


@pytest.mark.parametrize(("share", "reported"), [("auto", True), (1.0, False)])
def test_a_network_with_weight_0_is_reported(
    rows: Path, monkeypatch: pytest.MonkeyPatch, share: str | float, reported: bool
) -> None:
    monkeypatch.setattr("textrnn.training.validation.fit_share", lambda *_, **__: 1.0)
    recorder = Recorder()
    train(small_config(rows, train__epochs=2, ngrams__share=share), RUN, reporter=recorder)
    assert any("the network gets weight 0" in note for note in recorder.notes) is reported


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1", "loss"])
def test_the_metric_selects_the_best_epoch(metric: str, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "FEW_TEXTS", 0)
    recorder = Recorder()
    config = small_multi_label_config(write_sets(rows), train__metric=metric, train__epochs=3, ngrams__share=0)
    best = train(config, RUN, reporter=recorder).best
    name, select = ("valid_loss", min) if metric == "loss" else (metric, max)
    assert getattr(best, name) == select(getattr(record, name) for record in recorder.records)


def test_the_metrics_file_has_a_line_for_each_epoch(rows: Path) -> None:
    recorder = Recorder()
    train(small_config(rows), RUN, reporter=recorder)
    lines = read_metrics(RUN)
    assert lines == [
        {name: value for name, value in vars(record).items() if value is not None} for record in recorder.records
    ]
    rates = [line["lr"] for line in lines]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_a_training_loss_that_is_not_finite_ends_the_run(rows: Path) -> None:
    with pytest.raises(DataError, match=r"the loss is (nan|inf) in epoch \d+; lower --lr"):
        train(small_config(rows, train__lr=1e30, train__clip_norm=1e30, train__epochs=30), RUN)


def test_a_model_that_the_last_step_ruined_is_not_saved(rows: Path) -> None:
    with pytest.raises(DataError, match=r"the validation loss is (nan|inf) in epoch 1"):
        train(small_config(rows, train__lr=1e38, train__max_steps=1, train__warmup=0.0), RUN)
    assert not RUN.exists()


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize(("cell", "precision"), [("sru", "fp32"), ("sru", "bf16"), ("gru", "fp32")])
def test_a_batch_in_parts_gives_the_same_losses(cell: str, precision: str, multi_label: bool, rows: Path) -> None:
    write, configure = (write_sets, small_multi_label_config) if multi_label else (write_rows, small_config)
    write(rows, 101 if multi_label else 42)  # the last batch has fewer texts than parts
    losses = []
    for parts in (1, 3, 8 if multi_label else 4):
        recorder = Recorder()
        settings = {"model__cell": cell, "model__dropout": 0.0, "train__epochs": 2, "train__precision": precision}
        config = configure(rows, **settings, train__accumulate=parts)
        train(config, Path(f"run{parts}"), reporter=recorder)
        losses.append([(record.loss, record.valid_loss) for record in recorder.records])
    tolerance = 1e-2 if precision == "bf16" else 1e-4  # a last bit of float32 decides how a factor rounds
    np.testing.assert_allclose(losses[1], losses[0], rtol=tolerance)
    np.testing.assert_allclose(losses[2], losses[0], rtol=tolerance)


def test_the_average_of_the_weights_is_validated_and_saved(rows: Path) -> None:
    settings = {"train__epochs": 2, "ngrams__share": 0}
    best = train(small_config(rows, train__ema=0.999, **settings), RUN).best
    dataset, engine = load_dataset(load_config(RUN / "config.yaml"), Reporter()), Engine.load(RUN)
    valid = dataset.valid
    texts = [dataset.tokenizer.decode(valid.select(np.array([i])).ids.tolist()) for i in range(len(valid))]
    logits = engine.predict_logits(texts)
    losses = -engine.to_log_probabilities(logits)[np.arange(len(texts)), valid.classes]
    assert float(losses.mean()) == pytest.approx(best.valid_loss, rel=1e-4)
    assert engine.temperature == pytest.approx(fit_temperature(logits, valid.classes, penalty=PENALTY), rel=1e-4)
    last = train(small_config(rows, train__ema=0.0, **settings), Path("last")).best
    assert (last.epoch, last.loss) == (best.epoch, best.loss) == (2, best.loss)  # the same weights were trained
    assert last.valid_loss != pytest.approx(best.valid_loss, rel=1e-2)


def test_the_average_of_the_weights_gets_its_own_thresholds(rows: Path) -> None:
    write_sets(rows)
    valid = write_sets(Path("valid.tsv"), 100, seed=2)
    config = small_multi_label_config(rows, data__valid=str(valid), train__ema=0.9, ngrams__share=0)
    best = train(config, RUN).best
    evaluation = evaluate_multi_label(Engine.load(RUN), read_examples(str(valid), config.data))
    assert evaluation.micro_f1 == pytest.approx(best.micro_f1)
    assert evaluation.micro_f1 > 0.9


@pytest.mark.parametrize(
    ("valid", "network", "best", "idle"),
    [
        ([3, 2, 1], [1, 1, 1], [1], 0),  # the loss of the saved model falls
        ([1, 2, 3], [3, 2, 1], [1], 0),  # the loss of the network falls
        ([1, 2, 3], [1, 2, 3], [1, 3], 0),  # the metric is better
        ([1, 2, 3], [1, 2, 3], [1], 2),
        ([1, 2, 3, 0.5, 1], [1, 2, 3, 4, 5], [1, 2], 1),
        ([1, 2, 3, 3, 3], [1, 0.5, 3, 3, 3], [1], 3),
        ([1, 2, 3, 3, 3], [1, 2, 3, 3, 3], [1, 4], 1),
        ([1, 1, 1], [1, 1, 1], [1], 2),  # equal is not better
    ],
)
def test_an_epoch_without_any_improvement_is_idle(
    valid: list[float], network: list[float], best: list[int], idle: int
) -> None:
    records = [
        make_record(number, valid_loss=loss, network_loss=alone, best=number in best)
        for number, (loss, alone) in enumerate(zip(valid, network, strict=True), start=1)
    ]
    assert TrainerState(records=records).idle_epochs == idle


def write_long_rows(path: Path) -> None:
    """Write texts of up to 60 pieces, whose label is in their last word alone."""
    rng = np.random.default_rng(0)
    words = ["now", "then", "here", "milk", "sugar"]
    with path.open("w", encoding="utf-8") as file:
        for number in range(60):
            label, last = (("tea", "green"), ("coffee", "black"))[number % 2]
            file.write(f"{label}\t{' '.join(rng.choice(words, rng.integers(1, 40)))} {last}\n")


@pytest.mark.parametrize("long_texts", ["windows", "whole"])
def test_texts_that_fit_give_the_same_weights_in_all_ways(rows: Path, long_texts: str) -> None:
    models = []
    for way in ("cut", long_texts):
        train(small_config(rows, train__epochs=2, data__long_texts=way), Path(way))
        models.append(load_model(Path(way)))
    cut, other = models
    assert other.config.data.long_texts == long_texts
    assert {**cut.weights}.keys() == other.weights.keys()
    for name, weight in cut.weights.items():
        np.testing.assert_array_equal(weight, other.weights[name])
    assert (cut.temperature, cut.ngram_share, cut.ngram_scale) == (
        *(other.temperature, other.ngram_share, other.ngram_scale),
    )


@pytest.mark.parametrize("share", [0, "auto"])
@pytest.mark.parametrize("long_texts", ["cut", "windows", "whole"])
def test_a_model_of_long_texts_predicts_as_it_was_validated(rows: Path, long_texts: str, share: float | str) -> None:
    write_long_rows(rows)
    settings = {"data__max_length": 8, "data__long_texts": long_texts, "ngrams__share": share}
    best = train(small_config(rows, data__valid=str(rows), train__epochs=3, **settings), RUN).best
    engine = Engine.load(RUN)
    result = evaluate_examples(engine, list(read_examples(str(rows), engine.data_config)))
    assert result.loss == pytest.approx(best.valid_loss, rel=1e-4)
    if share:  # the n-grams see the last word unless it is cut off
        assert (result.accuracy > 0.9) is (long_texts != "cut")


@pytest.mark.parametrize("long_texts", ["windows", "whole"])
def test_each_epoch_trains_on_one_window_of_a_long_text(
    rows: Path, long_texts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WHOLE_TEXTS", Windows(8, None))
    write_long_rows(rows)
    recorder = Recorder()
    config = small_config(rows, data__max_length=8, data__long_texts=long_texts, ngrams__share=0)
    dataset = load_dataset(config, recorder)
    lengths = dataset.windows.draw(dataset.train).lengths
    assert dataset.train.lengths.max() > lengths.max() == 8
    train(config, RUN, reporter=recorder)
    seconds = [record.seconds * record.tokens_per_second for record in recorder.records]
    assert seconds == pytest.approx([int(lengths.sum())] * 4, rel=1e-3)
