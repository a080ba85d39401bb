"""What happens in a run at its steps and epochs: checkpoints, signals, saved models, the latest run."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from samples import Recorder, small_config
from textrnn.config import load_config
from textrnn.errors import StoppedError
from textrnn.serialization import run_folder
from textrnn.serialization.latest_run import CHECKPOINT_NAME
from textrnn.training.callbacks import Callbacks
from textrnn.training.distributed import ProcessGroup
from textrnn.training.train import train

RUN = Path("run")


@pytest.mark.parametrize(("minutes", "present"), [(0, True), (10, False)])
def test_checkpoints_are_written_by_the_clock(minutes: int, present: bool, rows: Path) -> None:
    seen = []

    class Watching(Recorder):
        def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
            seen.append((RUN / CHECKPOINT_NAME).exists())

    train(small_config(rows, train__epochs=1, train__checkpoint_minutes=minutes), RUN, reporter=Watching())
    assert seen == [False] + [present] * 8
    assert not (RUN / CHECKPOINT_NAME).exists()


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoint")

    monkeypatch.setattr(run_folder, "write_checkpoint", fail)
    recorder = Recorder()
    train(small_config(rows, train__epochs=1, train__checkpoint_minutes=0), RUN, reporter=recorder)
    assert "checkpoint: cannot be written (No space left on device); training continues" in recorder.notes


@pytest.mark.parametrize(("step", "hint"), [(3, "resume with"), (12, "the best model so far is in run; resume with")])
def test_a_stopped_run_says_what_it_has_saved(step: int, hint: str, rows: Path) -> None:
    with pytest.raises(StoppedError) as stopped:
        train(small_config(rows), RUN, reporter=Recorder(step))
    assert str(stopped.value) == f"{hint}: textrnn train --resume run"


def test_text_from_standard_input_is_needed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    config = load_config().model_copy(update={"data": load_config().data.model_copy(update={"train": "-"})})
    callbacks = Callbacks(config, Recorder(), run=run_folder.RunFolder(Path("my run")), group=ProcessGroup(0, 2))
    assert callbacks.resume_hint() == (
        "resume with the same text on standard input: torchrun --nproc-per-node=2 -m textrnn train --resume 'my run'"
    )


def test_a_pointer_that_cannot_be_written_is_reported(rows: Path) -> None:
    Path("runs").write_text("a file")
    recorder = Recorder()
    train(small_config(rows, train__epochs=1), RUN, reporter=recorder)
    assert any("name this run with -m run" in note for note in recorder.notes)
