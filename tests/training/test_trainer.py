"""Training: it learns, it is repeatable, it keeps the best, and it says what it does."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from samples import make_config, write_rows
from textrnn.config import Config, load_config
from textrnn.errors import BackendError, ConfigError, DataError, ModelError, StoppedError
from textrnn.inference.engine import Engine
from textrnn.models.calibration import fit_temperature
from textrnn.ops.sru.backends import choose_backend
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import EpochRecord, Plan, Reporter
from textrnn.serialization import run_folder
from textrnn.serialization.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from textrnn.serialization.latest_run import CHECKPOINT_NAME
from textrnn.serialization.model_file import load_model
from textrnn.training.distributed import ProcessGroup
from textrnn.training.train import describe, resolve, resume, train


class Recorder(Reporter):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.records: list[EpochRecord] = []
        self.plan: Plan | None = None
        self.steps = self.closed = 0

    def note(self, message: str) -> None:
        self.notes.append(message)

    def begin(self, plan: Plan) -> None:
        self.plan = plan

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        assert epoch >= 1
        assert loss >= 0
        assert tokens_per_second > 0
        self.steps += 1

    def end_epoch(self, record: EpochRecord) -> None:
        self.records.append(record)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def small(path: Path, **values: object) -> Config:
    defaults = {
        "data__train": str(path),
        "tokenizer__vocab_size": 80,
        "model__hidden": 8,
        "model__embedding": 16,
        "model__dropout": 0.1,
        "train__epochs": 4,
        "train__batch_size": 4,
        "train__lr": 0.01,
    }
    return make_config(**(defaults | values))


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
def test_it_learns_and_the_saved_model_is_the_best_one(cell: str, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    recorder = Recorder()
    # without n-grams, which learn these texts alone
    config = small(rows, model__cell=cell, train__epochs=8, ngrams__share=0)
    outcome = train(config, tmp_path / "run", reporter=recorder)
    assert outcome.best.accuracy == 1.0
    assert outcome.best.loss < recorder.records[0].loss
    assert outcome.best.valid_loss < recorder.records[0].valid_loss
    assert recorder.plan == Plan(epochs=8, batches=9, metric="loss", most=72)
    assert recorder.steps == 9 * len(recorder.records)
    assert recorder.closed == 1
    labels = [found[0].label for found in Engine.load(tmp_path / "run").predict(["green tea", "black coffee"])]
    assert labels == ["tea", "coffee"]
    assert outcome.parameters == sum(weights.size for weights in load_model(tmp_path / "run").weights.values())


def test_training_stops_without_progress_and_keeps_the_best_weights(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    settings = {"train__epochs": 30, "train__patience": 2, "train__metric": "loss", "train__lr": 0.3}
    config = small(rows, data__valid=str(rows), ngrams__share=0, **settings)
    recorder = Recorder()
    outcome = train(config, tmp_path / "run", reporter=recorder)
    losses = [record.valid_loss for record in recorder.records]
    assert outcome.best.valid_loss == min(losses)
    assert [record.best for record in recorder.records] == [
        loss == min(losses[: i + 1]) and loss not in losses[:i] for i, loss in enumerate(losses)
    ]
    assert len(losses) == outcome.best.epoch + 2 < 30
    assert recorder.notes[-1] == "stopped early: no better loss on valid in 2 epochs"
    # the file holds the best epoch's weights: they give its loss again, which is that of the calibrated probabilities
    engine = Engine.load(tmp_path / "run")
    pairs = [line.split("\t") for line in rows.read_text().splitlines()]
    scores = engine.predict_logits([text for _, text in pairs])
    # and the temperature of these scores
    classes = np.array([engine.labels.index(label) for label, _ in pairs])
    assert engine.temperature == pytest.approx(fit_temperature(scores, classes), rel=1e-4)
    assert engine.temperature != 1.0
    scores = engine.to_log_probabilities(scores)
    mean = -np.mean([row[engine.labels.index(label)] for row, (label, _) in zip(scores, pairs, strict=True)])
    assert mean == pytest.approx(outcome.best.valid_loss, abs=1e-5)


def test_the_seed_decides_the_bytes(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")

    def run(name: str, **values: object) -> bytes:
        train(small(rows, train__epochs=1, **values), tmp_path / name)
        model = load_model(tmp_path / name)
        return b"".join(model.weights[key].tobytes() for key in sorted(model.weights))

    assert run("a") == run("b")
    assert run("c", train__seed=1) != run("a")


def test_the_metrics_file_has_a_line_for_each_epoch(tmp_path: Path) -> None:
    recorder = Recorder()
    train(small(write_rows(tmp_path / "rows.tsv")), tmp_path / "run", reporter=recorder)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines == [vars(record) for record in recorder.records]
    rates = [line["lr"] for line in lines]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_notes_tell_what_was_decided_for_the_user(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    recorder = Recorder()
    train(small(rows, train__epochs=1), tmp_path / "run", reporter=recorder)
    text = "\n".join(recorder.notes)
    assert "no valid set given: 4 of 40 texts are held out (seed 42)" in text
    assert "4 texts to stop on are few" in text
    assert "unigram pieces, trained on the training text" in text
    assert "2 labels (coffee 18, tea 18)" in text
    assert "wide, 2 layers of SRU, 8 wide, both directions" in text
    assert f"SRU backend {choose_backend('auto')}" in text


def test_the_slow_backend_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textrnn.training.train.choose_backend", lambda *_, **__: "reference")
    model = torch.nn.Linear(2, 2)
    for cell, told in (("sru", True), ("gru", False)):
        config = Config.model_validate({"model": {"cell": cell}})
        line = describe(config, model, torch.device("cpu"), ProcessGroup())  # type: ignore[arg-type]
        assert ("SRU backend reference, which is slow: 'textrnn doctor' says why" in line) == told


def test_a_label_only_in_valid_is_told_and_counted_wrong(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    (tmp_path / "valid.tsv").write_text("tea\tgreen tea\nwater\tcold water\n")
    recorder = Recorder()
    config = small(rows, data__valid=str(tmp_path / "valid.tsv"), train__epochs=8)
    outcome = train(config, tmp_path / "run", reporter=recorder)
    assert any("valid.tsv:2: label 'water' is not in the training text" in note for note in recorder.notes)
    assert outcome.best.accuracy == 0.5


def test_an_earlier_run_is_kept_or_replaced(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    out = tmp_path / "run"
    train(small(rows, train__epochs=1), out)
    first = (out / "model.safetensors").read_bytes()
    outcome = train(small(rows, train__epochs=1, train__seed=1), out)
    assert outcome.kept == tmp_path / "run.1"
    assert (tmp_path / "run.1" / "model.safetensors").read_bytes() == first
    train(small(rows, train__epochs=1), out, overwrite=True)
    assert (out / "model.safetensors").read_bytes() == first
    assert not (tmp_path / "run.2").exists()


def test_faults_come_before_anything_is_written(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    recorder = Recorder()
    with pytest.raises(BackendError, match="cuda:7"):
        train(small(rows, train__device="cuda:7"), tmp_path / "run", reporter=recorder)
    with pytest.raises(ConfigError, match="a file; name a folder"):
        train(small(rows), rows)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(ConfigError, match=r"holds thesis\.txt, no part of a run"):
        train(small(rows), tmp_path / "other")
    with pytest.raises(DataError, match="no such file"):
        train(small(tmp_path / "gone.tsv"), tmp_path / "run")
    assert recorder.closed == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "rows.tsv"]


@pytest.mark.parametrize(("rows", "size"), [(50, 8), (1199, 8), (1200, 16), (2400, 32), (4800, 64)])
def test_the_batch_size_goes_by_the_number_of_texts(rows: int, size: int, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.tsv", rows)
    config = small(path, data__valid=str(write_rows(tmp_path / "v.tsv", 4)), train__batch_size=None, train__epochs=1)
    train(config, tmp_path / "run")
    assert load_config(tmp_path / "run" / "config.yaml").train.batch_size == size
    assert load_model(tmp_path / "run").config.train.batch_size == size


@pytest.mark.parametrize(
    ("rows", "settings", "epochs"),
    [
        (50, {}, 30),  # 7 steps each
        (720, {}, 29),  # 90
        (6400, {}, 26),  # 100
        (16000, {}, 12),  # 250
        (640, {"train__batch_size": 64}, 30),
        (640, {"train__epochs": 7}, 7),
    ],
)
def test_the_epochs_go_by_the_number_of_steps(
    rows: int, settings: dict[str, object], epochs: int, tmp_path: Path
) -> None:
    path, valid = write_rows(tmp_path / "rows.tsv", rows), write_rows(tmp_path / "v.tsv", 4)
    values = {"train__batch_size": None, "train__epochs": None, "data__valid": str(valid), **settings}
    config = small(path, **values)
    found = resolve(config, load_dataset(config, Reporter()))
    assert found.train.epochs == epochs
    assert resolve(found, load_dataset(found, Reporter())) == found


def test_a_loss_that_is_no_number_is_told(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    with pytest.raises(DataError, match=r"the loss is (nan|inf) in epoch \d+; lower --lr"):
        train(small(rows, train__lr=1e30, train__clip_norm=1e30, train__epochs=30), tmp_path / "run")


def test_a_model_that_the_last_step_spoilt_is_not_saved(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    with pytest.raises(DataError, match=r"the loss on valid is (nan|inf) in epoch 1; lower --lr"):
        train(small(rows, train__lr=1e38, train__max_steps=1, train__warmup=0.0), tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Stopping(Recorder):
    """Sends this process a signal in the given step."""

    def __init__(self, step: int, number: signal.Signals) -> None:
        super().__init__()
        self.at, self.number = step, number

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        super().step(epoch, loss, tokens_per_second)
        if self.steps == self.at:
            os.kill(os.getpid(), self.number)


def test_a_run_that_is_stopped_before_its_first_step_says_that_nothing_was_saved(tmp_path: Path) -> None:
    class Early(Recorder):
        def note(self, text: str) -> None:
            super().note(text)
            if text.startswith("model: "):
                os.kill(os.getpid(), signal.SIGINT)

    shown = Early()
    with pytest.raises(KeyboardInterrupt):
        train(small(write_rows(tmp_path / "rows.tsv")), tmp_path / "run", reporter=shown)
    assert shown.notes[-1] == "no model was saved"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("cell", ["sru", "gru"])
@pytest.mark.parametrize("steps", [(1,), (9, 1, 12), (20,), (27, 5)], ids=str)
def test_a_stopped_run_ends_as_one_that_was_not(cell: str, steps: tuple[int, ...], tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    config = small(rows, model__cell=cell, train__epochs=4, model__dropout=0.3, train__patience=2)
    whole = train(config, tmp_path / "whole")
    with pytest.raises(StoppedError, match=r"go on with: textrnn train --resume \S*parts") as stopped:
        train(config, tmp_path / "parts", reporter=Stopping(steps[0], signal.SIGTERM))
    assert stopped.value.number == signal.SIGTERM
    for step in steps[1:]:
        with pytest.raises(StoppedError, match="go on with"):
            resume(tmp_path / "parts", reporter=Stopping(step, signal.SIGINT))
    parts = resume(tmp_path / "parts")
    for name in ("model.safetensors", "config.yaml"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert parts.best.epoch == whole.best.epoch
    assert load_model(tmp_path / "parts").ngrams is not None
    found, wanted = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("parts", "whole")
    )
    for record in (*found, *wanted):
        del record["seconds"], record["tokens_per_second"]
    assert found == wanted
    assert not (tmp_path / "parts" / CHECKPOINT_NAME).exists()
    with pytest.raises(ModelError, match="has come to its end"):
        resume(tmp_path / "parts")


def test_checkpoints_are_written_by_the_clock(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    seen = []

    class Watching(Recorder):
        def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
            super().step(epoch, loss, tokens_per_second)
            seen.append((tmp_path / "run" / CHECKPOINT_NAME).exists())

    train(small(rows, train__epochs=1, train__checkpoint_minutes=0), tmp_path / "run", reporter=Watching())
    assert seen == [False] + [True] * 8
    seen.clear()
    train(small(rows, train__epochs=1), tmp_path / "other", reporter=Watching())
    assert not (tmp_path / "other" / CHECKPOINT_NAME).exists()


def test_other_data_is_not_gone_on_with(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    with pytest.raises(StoppedError):
        train(small(rows), tmp_path / "run", reporter=Stopping(3, signal.SIGINT))
    write_rows(tmp_path / "rows.tsv", 42)
    with pytest.raises(ModelError, match="no longer the same"):
        resume(tmp_path / "run")
    assert (tmp_path / "run" / CHECKPOINT_NAME).exists()


@pytest.mark.parametrize("cell", ["sru", "gru"])
def test_a_batch_in_parts_gives_the_same(cell: str, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv", 42)
    losses = []
    for parts in (1, 3, 4):  # as many as there are texts in a batch, and more than in the last
        recorder = Recorder()
        config = small(rows, model__cell=cell, model__dropout=0.0, train__accumulate=parts, train__epochs=2)
        train(config, tmp_path / f"run{parts}", reporter=recorder)
        losses.append([record.loss for record in recorder.records])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[2] == pytest.approx(losses[0], rel=1e-5)
    with pytest.raises(ConfigError, match=r"train.accumulate 5: more parts than the 4 texts of a step"):
        train(small(rows, model__cell=cell, train__accumulate=5), tmp_path / "run5")


def test_it_learns_in_bfloat16_and_not_in_float16_on_the_cpu(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    outcome = train(small(rows, train__precision="bf16", train__epochs=8, ngrams__share=0), tmp_path / "run")
    assert outcome.best.accuracy == 1.0
    with pytest.raises(BackendError, match="fp16: for CUDA devices"):
        train(small(rows, train__precision="fp16"), tmp_path / "other")


def test_a_compiled_network_learns_the_same(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    losses = []
    for compiled in (False, True):
        recorder = Recorder()
        config = small(rows, model__dropout=0.0, train__compile=compiled, train__epochs=2)
        train(config, tmp_path / f"run{compiled}", reporter=recorder)
        losses.append([record.loss for record in recorder.records])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_a_restart_goes_on_with_its_own_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    settings = {"train__batch_size": None, "train__epochs": None, "train__max_steps": 12}
    config = small(rows, **settings)
    for other, steps in ((config, 3), (small(rows, **settings, train__lr=0.05), 0)):
        with pytest.raises(StoppedError):
            train(config, tmp_path / "run", overwrite=True, reporter=Stopping(3, signal.SIGINT))
        shown = Recorder()
        train(other, tmp_path / "run", reporter=shown)
        assert shown.plan is not None
        assert shown.plan.done == steps
        assert load_config(tmp_path / "run" / "config.yaml").train.lr == other.train.lr


def test_a_damaged_checkpoint_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    with pytest.raises(StoppedError):
        train(small(rows), tmp_path / "run", reporter=Stopping(12, signal.SIGINT))
    path = tmp_path / "run" / CHECKPOINT_NAME
    whole = read_checkpoint(path)
    metrics = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    without = {name: value for name, value in whole.tensors.items() if name != "model.head.bias"}
    for tensors, state in (
        (whole.tensors, {**whole.state, "progress": {}}),
        (whole.tensors, {**whole.state, "config": {"train": {"lr": "high"}}}),
        (without, whole.state),
    ):
        write_checkpoint(path, Checkpoint(tensors, state))
        with pytest.raises(ModelError, match=f"{CHECKPOINT_NAME}: not a checkpoint, damaged, or of another version"):
            resume(tmp_path / "run")
        assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == metrics


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write_rows(tmp_path / "rows.tsv")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoint")

    monkeypatch.setattr(run_folder, "write_checkpoint", fail)
    shown = Recorder()
    train(small(rows, train__epochs=1, train__checkpoint_minutes=0), tmp_path / "run", reporter=shown)
    assert "checkpoint: cannot be written (No space left on device); training goes on without it" in shown.notes


def test_notes_in_the_folder_do_not_keep_a_run_from_going_on(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    with pytest.raises(StoppedError):
        train(small(rows), tmp_path / "run", reporter=Stopping(3, signal.SIGINT))
    (tmp_path / "run" / "notes.txt").write_text("mine")
    resume(tmp_path / "run")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_of_two_that_go_on_with_one_run_the_later_has_it(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    with pytest.raises(StoppedError):
        train(small(rows), tmp_path / "run", reporter=Stopping(3, signal.SIGINT))

    class Overtaken(Recorder):
        def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
            super().step(epoch, loss, tokens_per_second)
            if self.steps == 2:
                resume(tmp_path / "run")

    with pytest.raises(ConfigError, match="another run has taken this folder"):
        resume(tmp_path / "run", reporter=Overtaken())


RECIPES: dict[str, dict[str, object]] = {
    "alpha": {"tokenizer__alpha": 0.2},
    "bpe": {"tokenizer__alpha": 0.1, "tokenizer__model_type": "bpe"},
    "ema": {"train__ema": 0.5},
    "no-ema": {"train__ema": 0.0},
    "r-drop": {"train__r_drop": 5.0},
    "no-r-drop": {"train__r_drop": 0.0},
    "dropout": {"train__word_dropout": 0.1, "train__embedding_dropout": 0.1, "model__variational_dropout": False},
    "max+mean": {"model__pooling": "max+mean"},
    "loss": {"train__class_weights": "balanced", "train__focal_gamma": 1.0, "train__label_smoothing": 0.1},
    "one-cycle": {"train__schedule": "one-cycle", "train__warmup": 0.3},
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_learn_change_the_model_and_go_on_exactly(name: str, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    recipe = {"train__epochs": 6, "ngrams__share": 0, **RECIPES[name]}
    best = train(small(rows, **recipe), tmp_path / "whole").best
    assert best.accuracy > 0.9
    plain = {
        key: value
        for key, value in recipe.items()
        if key in ("train__epochs", "ngrams__share", "tokenizer__model_type")
    }
    train(small(rows, **plain), tmp_path / "plain")
    with pytest.raises(StoppedError):
        train(small(rows, **recipe), tmp_path / "parts", reporter=Stopping(14, signal.SIGTERM))
    resume(tmp_path / "parts")
    whole, parts, other = (load_model(tmp_path / run) for run in ("whole", "parts", "plain"))
    assert all((whole.weights[key] == parts.weights[key]).all() for key in whole.weights)
    assert whole.temperature == parts.temperature != 1.0
    assert not all((whole.weights[key] == other.weights[key]).all() for key in whole.weights)


def test_what_is_judged_is_the_mean_of_the_weights(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    recorder = Recorder()
    settings = {"train__epochs": 2, "ngrams__share": 0}
    train(small(rows, train__ema=0.999, **settings), tmp_path / "run", reporter=recorder)
    best = next(record for record in reversed(recorder.records) if record.best)
    config = load_config(tmp_path / "run" / "config.yaml")
    dataset = load_dataset(config, Reporter())
    engine = Engine.load(tmp_path / "run")
    texts = [
        dataset.tokenizer.decode(dataset.valid.select(np.array([i])).ids.tolist()) for i in range(len(dataset.valid))
    ]
    scores = engine.predict_logits(texts)
    losses = -engine.to_log_probabilities(scores)[np.arange(len(texts)), dataset.valid.classes]
    assert float(losses.mean()) == pytest.approx(best.valid_loss, rel=1e-4)
    last = train(small(rows, train__ema=0.0, **settings), tmp_path / "last").best
    assert (last.epoch, last.loss) == (best.epoch, best.loss) == (2, best.loss)  # the same weights were trained
    assert last.valid_loss != pytest.approx(best.valid_loss, rel=1e-2)
    assert engine.temperature == pytest.approx(fit_temperature(scores, dataset.valid.classes), rel=1e-4)
