"""Pretraining of starters."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from samples import Recorder, make_config, write_rows
from teaching import embed, pretraining_config, write_lines
from textrnn.errors import DataError, DivergedError, StoppedError
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Plan, Reporter
from textrnn.serialization.initial_config import inherit_settings
from textrnn.serialization.model_file import MODEL_NAME, load_model
from textrnn.serialization.refit import make_refit_config
from textrnn.training.model_setup import build_network, resolve_config
from textrnn.training.starters.pretraining import STARTER_DROPOUT, PretrainingOutcome, pretrain
from textrnn.training.train import resume, train


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "raw.txt"
    np.save(tmp_path / "e.npy", embed(write_lines(path, 120)))
    return path


def run(text: Path, out: str = "starter.safetensors", **values: object) -> PretrainingOutcome:
    reporter = values.pop("reporter", None)
    assert reporter is None or isinstance(reporter, Reporter)
    return pretrain(
        pretraining_config(**values),
        str(text),
        text.parent / out,
        embeddings=str(text.parent / "e.npy"),
        reporter=reporter,
    )


def test_a_network_learns_the_embeddings(text: Path) -> None:
    outcome = run(text, train__epochs=8)
    assert outcome.cosine > 0.6
    assert 1 <= outcome.epoch <= 8


def test_a_starter_begins_a_training(text: Path) -> None:
    run(text, model__dropout=0.1)
    starter = load_model(text.parent / "starter.safetensors", is_starter=True)
    assert starter.weights["head.weight"].shape == (0, 16)
    assert starter.config.model.dropout == STARTER_DROPOUT  # not that of pretraining
    rows = text.parent / "few.tsv"
    rows.write_text("".join(f"tea\tgreen tea {n}\ncoffee\tblack coffee {n}\n" for n in range(15)), "utf-8")
    given = make_config(data__train=str(rows), train__init=str(text.parent / "starter.safetensors"))
    config = inherit_settings(given)
    dataset = load_dataset(config, Reporter())
    weights = build_network(resolve_config(config, dataset), dataset).export_weights()
    np.testing.assert_array_equal(weights["layers.0.weight"], starter.weights["layers.0.weight"])


def test_a_training_moves_what_comes_from_a_starter_by_a_tenth_of_the_rate(text: Path) -> None:
    run(text, train__epochs=1)
    path = text.parent / "starter.safetensors"
    step = {"train__max_steps": 1, "train__lr": 0.01, "train__warmup": 0.0, "train__ema": 0.0, "train__report": False}
    rows = write_rows(text.parent / "rows.tsv")
    outcome = train(make_config(data__train=str(rows), train__init=str(path), **step), text.parent / "run")
    before, after = load_model(path, is_starter=True).weights, load_model(outcome.folder).weights
    change = np.abs(after["layers.0.b"] - before["layers.0.b"]).max()  # AdamW's first step has the size of the rate
    assert 0.0005 < change < 0.0015


def test_a_training_from_a_starter_is_resumed_and_refitted(text: Path) -> None:
    run(text, train__epochs=1)
    rows = write_rows(text.parent / "rows.tsv")
    starter = str(text.parent / "starter.safetensors")
    config = make_config(data__train=str(rows), train__init=starter, train__epochs=3, train__report=False)
    whole, stopped = text.parent / "whole", text.parent / "stopped"
    outcome = train(config, whole)
    assert outcome.config.model.hidden == 8  # of the starter
    with pytest.raises(StoppedError):
        train(config, stopped, reporter=Recorder(7))
    resume(stopped)
    assert (stopped / MODEL_NAME).read_bytes() == (whole / MODEL_NAME).read_bytes()
    final = train(make_refit_config(whole, []), text.parent / "final")
    assert load_model(final.folder).tokenizer.model == load_model(Path(starter), is_starter=True).tokenizer.model


def test_the_same_seed_gives_the_same_bytes(text: Path) -> None:
    contents = []
    for number, seed in enumerate((1, 1, 2)):
        run(text, f"{number}.safetensors", train__seed=seed, train__epochs=1, model__dropout=0.1)
        contents.append((text.parent / f"{number}.safetensors").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_steps_can_be_limited(text: Path) -> None:
    class Steps(Reporter):
        plan: Plan
        count = 0

        def begin(self, plan: Plan) -> None:
            self.plan = plan

        def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
            self.count += 1

    reporter = Steps()
    run(text, train__max_steps=5, reporter=reporter)
    assert (reporter.plan.steps, reporter.count) == (5, 5)


class Interrupting(Reporter):
    """Sends SIGTERM in step ``at`` of the run."""

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGTERM)


def test_a_stopped_run_keeps_the_best_starter(text: Path) -> None:
    with pytest.raises(StoppedError, match="stopped in epoch 1; no starter was written"):
        run(text, reporter=Interrupting(2))
    assert not (text.parent / "starter.safetensors").exists()
    with pytest.raises(StoppedError, match=r"stopped in epoch 2; the starter of epoch 1 is in .*starter\.safetensors"):
        run(text, reporter=Interrupting(32))
    load_model(text.parent / "starter.safetensors", is_starter=True)


def test_an_earlier_starter_is_kept(text: Path) -> None:
    out = text.parent / "starter.safetensors"
    out.write_bytes(b"earlier")
    with pytest.raises(StoppedError):
        run(text, reporter=Interrupting(2))
    assert out.read_bytes() == b"earlier"  # nothing replaced it
    run(text, train__epochs=2)
    assert (text.parent / "starter.safetensors.1").read_bytes() == b"earlier"
    assert not (text.parent / "starter.safetensors.2").exists()


def test_embeddings_of_other_lines_are_refused(text: Path) -> None:
    np.save(text.parent / "e.npy", embed(["tea"] * 7))
    with pytest.raises(DataError, match=r"has 7 rows, but .* has 120 lines"):
        run(text)


def test_a_diverged_loss_ends_the_run(text: Path) -> None:
    with pytest.raises(DivergedError, match="lower --lr"):
        run(text, train__lr=1e30, train__clip_norm=1e30, train__epochs=20)
