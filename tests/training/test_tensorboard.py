"""TensorBoard events: their content, their folder, and the curves of a resumed run."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import pytest

from samples import Recorder, read_metrics, small_config
from textrnn.errors import ConfigError, StoppedError
from textrnn.reporter import Plan
from textrnn.serialization.model_file import load_model
from textrnn.training import tensorboard
from textrnn.training.tensorboard import TensorBoardReporter
from textrnn.training.train import resume, train

pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")

RUN, PARTS = Path("run"), Path("parts")
tiny_config = partial(small_config, model__hidden=4, model__embedding=8, train__epochs=2, train__tensorboard=True)


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curve of each tag, without those of the speed."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if "speed" not in tag]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def test_events_hold_steps_and_epochs(rows: Path) -> None:
    train(tiny_config(rows), RUN)
    curves, records = read(RUN), read_metrics(RUN)
    assert [step for step, _ in curves["train/loss"]] == list(range(1, 19))
    losses = [loss for _, loss in curves["train/loss"]]
    assert sum(losses[:9]) / 9 == pytest.approx(records[0]["loss"])
    assert len(curves["train/lr"]) == 18
    assert max(rate for _, rate in curves["train/lr"]) <= 0.01 + 1e-9
    names = {"accuracy": "accuracy", "macro_f1": "macro_f1", "loss": "valid_loss", "loss_of_network": "network_loss"}
    for tag, name in names.items():
        assert curves[f"valid/{tag}"] == [(record["step"], pytest.approx(record[name])) for record in records]


def test_events_are_optional_and_change_no_weight(rows: Path) -> None:
    weights = []
    for enabled in (False, True):
        folder = Path(str(enabled))
        train(tiny_config(rows, train__tensorboard=enabled), folder)
        assert (folder / "tensorboard").exists() == enabled
        weights.append({name: value.tobytes() for name, value in load_model(folder).weights.items()})
    assert weights[0] == weights[1]


@pytest.mark.parametrize("step", [3, 12])
def test_a_resumed_run_has_the_curves_of_an_uninterrupted_one(step: int, rows: Path) -> None:
    config = tiny_config(rows)
    train(config, Path("whole"))
    with pytest.raises(StoppedError):
        train(config, PARTS, reporter=Recorder(step))
    time.sleep(1.1)  # event files are sorted by the whole seconds in their names
    # as after a kill: the file is ahead of the checkpoint
    late = TensorBoardReporter()
    late.begin(Plan(2, 18, "accuracy", done=step))
    late.saved(PARTS)
    late.measure(step + 1, 99.0, 99.0)
    late.close()
    time.sleep(1.1)
    resume(PARTS)
    assert read(PARTS) == read(Path("whole"))
    assert len(list((PARTS / "tensorboard").iterdir())) == 3


def test_a_long_run_is_thinned(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "_MAX_POINTS", 5)
    train(tiny_config(rows), RUN)
    assert [step for step, _ in read(RUN)["train/loss"]] == [1, 4, 8, 12, 16]


def test_an_earlier_run_keeps_its_events_unless_it_is_overwritten(rows: Path) -> None:
    train(tiny_config(rows, train__epochs=1), RUN)
    train(tiny_config(rows), RUN)
    assert read(Path("run.1"))["train/loss"][-1][0] == 9
    assert read(RUN)["train/loss"][-1][0] == 18
    train(tiny_config(rows, train__epochs=1), RUN, overwrite=True)
    assert read(RUN)["train/loss"][-1][0] == 9


def test_a_missing_package_is_reported_before_any_data_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(ConfigError, match=r"tensorboard: needs the package tensorboard; pip install 'textrnn\[tens"):
        train(tiny_config("gone.tsv"), RUN)
