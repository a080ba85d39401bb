"""The estimate of a run: its steps, and that nothing is written."""

from __future__ import annotations

from pathlib import Path

from samples import Recorder, small_config
from textrnn.config import load_config
from textrnn.serialization.model_file import load_model
from textrnn.training.dry_run import dry_run
from textrnn.training.train import train


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
