"""Training that goes on from a model: labels, old text, the record of the validation set, and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samples import MULTI_LABEL, Recorder, make_config, small_config, write_sets
from textrnn.errors import ModelError, StoppedError
from textrnn.inference.engine import Engine
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.initial_config import inherit_settings
from textrnn.serialization.model_file import load_model
from textrnn.serialization.refit import make_refit_config
from textrnn.training.train import resume, train

TEXTS = {
    "tea": "green tea with lemon",
    "coffee": "black coffee with milk",
    "juice": "cold orange juice",
    "water": "still water please",
}


def write(path: str, *labels: str, rows: int = 40, first: int = 0) -> str:
    lines = [
        f"{labels[n % len(labels)]}\t{TEXTS[labels[n % len(labels)].lower()]} {n}\n" for n in range(first, first + rows)
    ]
    Path(path).write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the run of a model of tea, coffee and juice, in the current folder, which also holds old.tsv."""
    monkeypatch.chdir(tmp_path)
    config = small_config(write("old.tsv", "tea", "coffee", "juice", rows=60), train__epochs=6)
    return train(config, Path("runs/old")).folder


def continued(path: str, init: Path | str = "runs/old", **values: Any) -> Any:
    return make_config(
        **{"data__train": path, "train__init": str(init), "train__epochs": 2, "train__batch_size": 8} | values
    )


def test_labels_are_the_union_and_what_is_absent_is_kept(old: Path) -> None:
    recorder = Recorder()
    new = write("new.tsv", "tea", "water", rows=60, first=100)
    outcome = train(continued(new, train__lr=0.003, train__epochs=8), Path("runs/new"), reporter=recorder)
    engine = Engine.load(outcome.folder)
    assert engine.labels == ("coffee", "juice", "tea", "water")
    texts = [TEXTS[label] for label in engine.labels]
    assert [found[0].label for found in engine.predict(texts)] == [*engine.labels]
    assert load_model(outcome.folder).tokenizer.model == load_model(old).tokenizer.model
    notes = [note for note in recorder.notes if "validation set (" in note]
    assert notes[0].startswith("new validation set (6 texts): accuracy 50.00 % before, 100.00 % after")
    assert notes[1].startswith("old validation set (6 texts): accuracy 100.00 % before, ")


def test_new_text_may_have_a_single_label(old: Path) -> None:
    assert inherit(continued(write("new.tsv", "tea"))).labels == ("coffee", "juice", "tea")


def inherit(config: Any) -> Any:
    return load_dataset(inherit_settings(config), Reporter())


def test_replayed_text_is_trained_on_except_the_old_validation_set(old: Path) -> None:
    dataset = inherit(continued(write("new.tsv", "tea", "water", first=100), data__replay="old.tsv"))
    before = load_model(old).validation
    assert before is not None
    assert (len(dataset.train), len(dataset.valid), len(dataset.old_valid), len(dataset.new_valid)) == (90, 10, 6, 4)
    assert before.texts == len(before.hashes) == 6
    assert np.isin(before.hashes, dataset.valid_hashes).all()
    folds = [inherit(continued("new.tsv", data__replay="old.tsv", data__fold=f"{n}/2")) for n in (1, 2)]
    assert [(len(fold.train), len(fold.valid)) for fold in folds] == [(74, 20)] * 2
    part = inherit(continued("new.tsv", data__replay="old.tsv", data__train_share=0.25))
    assert len(part.train) == 8 + 54


def test_other_old_text_is_held_out_like_new_text(old: Path) -> None:
    write("older.tsv", "tea", "coffee", first=1000)
    dataset = inherit(continued(write("new.tsv", "tea", "water", first=100), data__replay=["older.tsv"]))
    assert (len(dataset.train), len(dataset.valid)) == (72, 8)
    given = inherit(continued("new.tsv", data__replay=["older.tsv"], data__valid=write("valid.tsv", "tea", first=500)))
    assert (len(given.train), len(given.valid)) == (80, 40)


def test_the_old_validation_set_is_found_by_its_texts(old: Path) -> None:
    assert len(inherit(continued(write("new.tsv", "tea", "water", first=100))).old_valid) == 6
    Path("old.tsv").rename("moved.tsv")
    assert inherit(continued("new.tsv")).old_valid is None
    both = Path("both.tsv")
    both.write_text(Path("new.tsv").read_text() + Path("moved.tsv").read_text())
    dataset = inherit(continued("both.tsv"))
    assert len(dataset.old_valid) == 6
    assert len(dataset.train) + len(dataset.valid) == 100


def test_labels_that_seem_renamed_are_reported(old: Path) -> None:
    recorder = Recorder()
    load_dataset(inherit_settings(continued(write("new.tsv", "Tea", "water"))), recorder)
    expected = (
        "new.tsv: the label 'Tea' is new, but the initial model has 'tea'; if they mean the same, write the old one"
    )
    assert expected in recorder.notes
    load_dataset(inherit_settings(continued(write("new.tsv", "water"))), recorder)
    assert any(note.startswith("new.tsv: all labels are new, such as 'water', and none is") for note in recorder.notes)


@pytest.mark.parametrize("values", [{}, {"data__replay": "old.tsv"}])
def test_a_resumed_run_gives_the_same_bytes(old: Path, values: dict[str, Any]) -> None:
    config = continued(write("new.tsv", "tea", "water", first=100), **values)
    whole = train(config, Path("runs/whole")).folder
    with pytest.raises(StoppedError):
        train(config, Path("runs/stopped"), reporter=Recorder(stop_at=6))
    stopped = resume(Path("runs/stopped")).folder
    assert (stopped / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_run_cannot_resume_without_its_initial_model(old: Path) -> None:
    with pytest.raises(StoppedError):
        train(continued(write("new.tsv", "tea", "water")), Path("runs/stopped"), reporter=Recorder(stop_at=3))
    old.rename("runs/moved")
    with pytest.raises(ModelError, match=r"runs/old: the model of train\.init is gone, and runs/stopped needs it"):
        resume(Path("runs/stopped"))
    train(small_config("old.tsv", train__epochs=1), Path("runs/old"))
    with pytest.raises(ModelError, match=r"runs/old: the model of train\.init has changed since runs/stopped"):
        resume(Path("runs/stopped"))


def test_a_final_model_goes_on_from_the_same_model(old: Path) -> None:
    run = train(continued(write("new.tsv", "tea", "water", first=100)), Path("runs/new")).folder
    recorder = Recorder()
    final = train(make_refit_config(run, []), Path("runs/final"), reporter=recorder)
    model = load_model(final.folder)
    assert model.labels == ("coffee", "juice", "tea", "water")
    assert model.validation is None
    assert not any("validation set (" in note for note in recorder.notes)


def test_multi_label_models_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = write_sets(Path("old.tsv"), 120)
    values: dict[str, Any] = {"tokenizer__vocab_size": 120, "train__epochs": 3, **MULTI_LABEL}
    old = train(small_config(rows, **values), Path("runs/old")).folder
    Path("new.tsv").write_text("".join(f"praise\tthank you {n}\nbrand new\tsomething new {n}\n" for n in range(30)))
    recorder = Recorder()
    outcome = train(continued("new.tsv", old), Path("runs/new"), reporter=recorder)
    before, after = load_model(old), load_model(outcome.folder)
    assert after.labels == ("brand new", *before.labels)
    assert after.thresholds is not None
    assert before.thresholds is not None
    kept = dict(zip(after.labels, after.thresholds, strict=True))["refund"]
    assert kept == dict(zip(before.labels, before.thresholds, strict=True))["refund"]
    assert any(note.startswith("old validation set (") and "micro F1" in note for note in recorder.notes)


def test_models_of_scores_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.tsv").write_text("".join(f"{n % 5}\t{'good ' * (n % 5)}tea {n}\n" for n in range(80)))
    old = train(small_config("old.tsv", data__target="score", train__epochs=2), Path("runs/old")).folder
    Path("new.tsv").write_text("".join(f"{n % 7 - 0.5}\t{'good ' * (n % 7)}juice {n}\n" for n in range(80)))
    recorder = Recorder()
    outcome = train(continued("new.tsv", old), Path("runs/new"), reporter=recorder)
    assert load_model(outcome.folder).labels == ("-0.5", "0", "1", "2", "3", "4", "5.5")
    assert any(note.startswith("old validation set (") and "MAE" in note for note in recorder.notes)
