"""TensorBoard's events: what is in them, where, and after a run was stopped."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from samples import make_config, write_rows
from textrnn.config import Config
from textrnn.errors import ConfigError, StoppedError
from textrnn.reporter import Plan, Reporter
from textrnn.serialization.model_file import load_model
from textrnn.training import tensorboard as events
from textrnn.training.tensorboard import TensorBoardReporter
from textrnn.training.train import resume, train

pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")

Curve = list[tuple[int, float]]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def small(path: Path, **values: object) -> Config:
    network = {"tokenizer__vocab_size": 80, "model__hidden": 4, "model__embedding": 8, "train__batch_size": 4}
    return make_config(**{"data__train": str(path), "train__epochs": 2, "train__tensorboard": True} | network | values)


def read(folder: Path) -> dict[str, Curve]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    found = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


class Stopping(Reporter):
    def __init__(self, step: int) -> None:
        self.left = step

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGTERM)


def test_they_hold_steps_and_epochs(tmp_path: Path) -> None:
    train(small(write_rows(tmp_path / "rows.tsv")), tmp_path / "run")
    found = read(tmp_path / "run")
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [step for step, _ in found["train/loss"]] == list(range(1, 19))
    losses = [loss for _, loss in found["train/loss"]]
    assert sum(losses[:9]) / 9 == pytest.approx(records[0]["loss"])
    assert len(found["train/lr"]) == 18
    assert max(rate for _, rate in found["train/lr"]) <= 0.003 + 1e-9
    tags = {"accuracy": "accuracy", "macro_f1": "macro_f1", "loss": "valid_loss", "loss_of_network": "network_loss"}
    for tag, name in ((f"valid/{tag}", name) for tag, name in tags.items()):
        assert found[tag] == [(record["step"], pytest.approx(record[name])) for record in records]


def test_a_run_without_them_has_no_such_folder_and_the_same_weights(tmp_path: Path) -> None:
    weights = []
    for wanted in (False, True):
        train(small(write_rows(tmp_path / "rows.tsv"), train__tensorboard=wanted), tmp_path / str(wanted))
        assert (tmp_path / str(wanted) / "tensorboard").exists() == wanted
        model = load_model(tmp_path / str(wanted))
        weights.append({name: value.tobytes() for name, value in model.weights.items()})
    assert weights[0] == weights[1]


@pytest.mark.parametrize("step", [3, 12])
def test_a_stopped_run_gives_the_curves_of_one_that_was_not(step: int, tmp_path: Path) -> None:
    config = small(write_rows(tmp_path / "rows.tsv"))
    train(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "parts", reporter=Stopping(step))
    time.sleep(
        1.1
    )  # files are put in order by their names: by whole seconds, then by a counter that is no number there
    # as a killed run: the file says more than the checkpoint knows
    late = TensorBoardReporter()
    late.begin(Plan(2, 9, "accuracy", done=step))
    late.saved(tmp_path / "parts")
    late.measure(step + 1, 99.0, 99.0)
    late.close()
    time.sleep(1.1)
    resume(tmp_path / "parts")
    whole, parts = read(tmp_path / "whole"), read(tmp_path / "parts")
    assert {tag: curve for tag, curve in parts.items() if "speed" not in tag} == {
        tag: curve for tag, curve in whole.items() if "speed" not in tag
    }
    assert len(list((tmp_path / "parts" / "tensorboard").iterdir())) == 3


def test_a_long_run_is_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOST_POINTS", 5)
    train(small(write_rows(tmp_path / "rows.tsv")), tmp_path / "run")
    assert [step for step, _ in read(tmp_path / "run")["train/loss"]] == [1, 4, 8, 12, 16]


def test_an_earlier_run_keeps_its_events_and_overwriting_removes_them(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv")
    train(small(rows, train__epochs=1), tmp_path / "run")
    train(small(rows), tmp_path / "run")
    assert read(tmp_path / "run.1")["train/loss"][-1][0] == 9
    assert read(tmp_path / "run")["train/loss"][-1][0] == 18
    train(small(rows, train__epochs=1), tmp_path / "run", overwrite=True)
    assert read(tmp_path / "run")["train/loss"][-1][0] == 9


def test_a_missing_package_is_told_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="tensorboard is not installed; pip install tensorboard"):
        train(small(tmp_path / "gone.tsv"), tmp_path / "run")
