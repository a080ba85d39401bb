"""The estimate of a run: its steps, and that nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from samples import Recorder, small_config
from textrnn.config import load_config
from textrnn.serialization.model_file import load_model
from textrnn.training.dry_run import dry_run
from textrnn.training.train import train
from textrnn.training.validation import Validation, Validator


def test_an_estimate_matches_the_run_and_writes_nothing(rows: Path) -> None:
    config, recorder = small_config(rows, train__batch_size=None, train__max_steps=12), Recorder()
    estimate = dry_run(config, reporter=recorder)
    assert [path.name for path in Path().iterdir()] == ["rows.tsv"]
    assert recorder.closed == 1
    assert (estimate.batches, estimate.steps) == (5, 12)
    assert estimate.seconds > 0
    assert estimate.memory is None or estimate.memory > 1 << 20
    assert train(config, Path("run")).config == estimate.config
    assert load_config(Path("run/config.yaml")) == load_model(Path("run")).config == estimate.config


def test_the_estimate_includes_a_validation_pass_for_each_epoch(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config(rows, train__epochs=3)
    validate = Validator.validate

    def validate_slowly(self: Validator, end_batch: Callable[[], None]) -> Validation:
        time.sleep(1)
        return validate(self, end_batch)

    monkeypatch.setattr(Validator, "validate", validate_slowly)
    recorder = Recorder()
    assert dry_run(config, reporter=recorder).seconds > 3
    assert any(note.startswith("n-grams: ") for note in recorder.notes)
