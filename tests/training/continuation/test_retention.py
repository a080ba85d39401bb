"""What training continues from: the labels, figures and calibration of a model, when it is stopped too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import textrnn
from command import Run
from continued import TEXTS, continued, write_drinks
from samples import MULTI_LABEL, Recorder, small_config, write_sets
from textrnn.errors import ConfigError, ModelError, StoppedError
from textrnn.inference.engine import Engine
from textrnn.serialization.model_file import load_model
from textrnn.serialization.refit import make_refit_config
from textrnn.sklearn import TextRNNClassifier
from textrnn.training.train import resume, train


def test_labels_are_the_union_and_what_is_absent_is_kept(old_run: Path) -> None:
    recorder = Recorder()
    new = write_drinks("new.tsv", "tea", "water", rows=60, first=100)
    outcome = train(continued(new, train__lr=0.003, train__epochs=8), Path("runs/new"), reporter=recorder)
    engine = Engine.load(outcome.folder)
    assert engine.labels == ("coffee", "juice", "tea", "water")
    texts = [TEXTS[label] for label in engine.labels]
    assert [found[0].label for found in engine.predict(texts)] == [*engine.labels]
    assert load_model(outcome.folder).tokenizer.model == load_model(old_run).tokenizer.model
    notes = [note for note in recorder.notes if "validation set (" in note]
    assert notes[0].startswith("new validation set (6 texts): accuracy 50.00 % before, 100.00 % after")
    assert notes[1].startswith("old validation set (6 texts): accuracy 100.00 % before, ")


@pytest.mark.parametrize("values", [{}, {"data__replay": "old.tsv"}])
def test_a_resumed_run_gives_the_same_bytes(old_run: Path, values: dict[str, Any]) -> None:
    config = continued(write_drinks("new.tsv", "tea", "water", first=100), **values)
    whole = train(config, Path("runs/whole")).folder
    with pytest.raises(StoppedError):
        train(config, Path("runs/stopped"), reporter=Recorder(stop_at=6))
    stopped = resume(Path("runs/stopped")).folder
    assert (stopped / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_run_cannot_resume_without_its_initial_model(old_run: Path) -> None:
    with pytest.raises(StoppedError):
        train(continued(write_drinks("new.tsv", "tea", "water")), Path("runs/stopped"), reporter=Recorder(stop_at=3))
    old_run.rename("runs/moved")
    with pytest.raises(ModelError, match=r"runs/old: the model of train\.init is gone, and runs/stopped needs it"):
        resume(Path("runs/stopped"))
    train(small_config("old.tsv", train__epochs=1), Path("runs/old"))
    with pytest.raises(ModelError, match=r"runs/old: the model of train\.init has changed since runs/stopped"):
        resume(Path("runs/stopped"))


def test_a_final_model_continues_from_the_same_model(old_run: Path) -> None:
    run = train(continued(write_drinks("new.tsv", "tea", "water", first=100)), Path("runs/new")).folder
    recorder = Recorder()
    final = train(make_refit_config(run, []), Path("runs/final"), reporter=recorder)
    model = load_model(final.folder)
    assert model.labels == ("coffee", "juice", "tea", "water")
    assert model.validation is None
    assert not any("validation set (" in note for note in recorder.notes)


def test_multi_label_models_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    model = textrnn.train(
        [f"thank you {n}" for n in range(20)], ["praise", "refund"] * 10, train__init=old, train__epochs=1
    )
    assert model.config["data"]["multi_label"]


def test_models_of_scores_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.tsv").write_text("".join(f"{n % 5}\t{'good ' * (n % 5)}tea {n}\n" for n in range(80)))
    old = train(small_config("old.tsv", data__target="score", train__epochs=2), Path("runs/old")).folder
    Path("new.tsv").write_text("".join(f"{n % 7 - 0.5}\t{'good ' * (n % 7)}juice {n}\n" for n in range(80)))
    recorder = Recorder()
    outcome = train(continued("new.tsv", old), Path("runs/new"), reporter=recorder)
    assert outcome.config.train.distill_share == 0
    assert load_model(outcome.folder).labels == ("-1", "0", "1", "2", "3", "4", "5", "5.5")
    assert any(note.startswith("old validation set (") and "MAE" in note for note in recorder.notes)
    model = textrnn.train([f"tea {n}" for n in range(20)], [1.5, 2] * 10, train__init=old, train__epochs=1)
    assert model.predict_scores(["good tea"]).shape == (1,)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ("--replay old.tsv", "data.replay: needs train.init; name the model to continue from too"),
        ("--set train.distill_share=0.1", "train.distill_share: needs train.init; name the model to continue from too"),
        ("--init runs/none", "runs/none: no such model file or run folder; 'textrnn train' makes one"),
        ("--init old.tsv", "old.tsv: not a textrnn model, or cut short"),
        ("--init runs/old --replay new.tsv", "data.replay new.tsv: is the training or the validation set too"),
        ("--init runs/old --replay none.tsv", "none.tsv: no such file"),
        ("--init runs/old --replay -", "data.replay -: is a pipe, but the old text is read twice; save it to a file"),
        ("--init runs/old --out runs/old", "--out runs/old: holds the model of train.init; name another folder"),
        ("--init runs/old --hidden 9", "model.hidden: is 9, but that of train.init (runs/old) is 8; leave it out"),
        ("--init runs/old --set data.multi_label=true", "data.multi_label: is true, but that of train.init (runs/old)"),
        ("--init runs/old --tokenizer m.model", "tokenizer.model: cannot be combined with train.init (runs/old)"),
        ("--init runs/old --set train.distill_share=1.0", "should be a number of at least 0 and below 1, or null"),
    ],
)
def test_faults(arguments: str, fault: str, old_run: Path, invoke: Run) -> None:
    write_drinks("new.tsv", "tea", "water")
    done = invoke("train", "--train", "new.tsv", *arguments.split())
    assert (done.returncode, done.stdout) == (1 if fault.startswith(("runs/none", "old.tsv", "none.tsv")) else 2, b"")
    (line,) = done.stderr.decode().splitlines()
    assert fault in line
    assert sorted(path.name for path in Path("runs").iterdir()) == ["latest", "old"]


def test_commands_that_train_several_models_continue(old_run: Path, invoke: Run) -> None:
    write_drinks("new.tsv", "tea", "water", first=100)
    quick = ("--train", "new.tsv", "--init", "runs/latest", "--epochs", "1", "--batch-size", "8")
    for arguments in (("--kfold", "2", "--replay", "old.tsv"), ("--seeds", "2"), ("--dry-run",)):
        done = invoke("train", *quick, *arguments)
        assert done.returncode == 0, done.stderr.decode()
    folds = [load_model(path) for path in Path("runs").glob("new-sru-2-folds/fold-*")]
    assert [model.config.train.init for model in folds] == ["runs/old"] * 2
    assert all(model.labels == ("coffee", "juice", "tea", "water") for model in folds)
    best = Path("runs/latest").read_text("utf-8").strip()
    done = invoke("train", *quick[:3], "runs/new-sru-2-seeds", "--epochs", "1", "--out", "runs/third")
    assert done.returncode == 0, done.stderr.decode()
    assert load_model(Path("runs/third")).config.train.init == best


def test_python_continues_from_a_path(old_run: Path) -> None:
    texts, labels = [f"still water {n}" for n in range(20)], ["water"] * 20
    model = textrnn.train(texts, labels, train__init=old_run, train__epochs=1, train__batch_size=8)
    assert model.labels == ("coffee", "juice", "tea", "water")
    with pytest.raises(ConfigError, match="train__init=3"):
        textrnn.train(texts, labels, train__init=3)


def test_an_estimator_has_the_classes_of_both(old_run: Path) -> None:
    settings = {"train__init": old_run, "train__batch_size": 8}
    estimator = TextRNNClassifier(epochs=1, settings=settings).fit(
        [f"still water {n}" for n in range(20)], ["water"] * 20
    )
    assert estimator.classes_.tolist() == ["coffee", "juice", "tea", "water"]
    probabilities = estimator.predict_proba([TEXTS["tea"], TEXTS["coffee"]])
    assert probabilities.sum(axis=1).tolist() == pytest.approx([1, 1])
    assert estimator.predict([TEXTS["coffee"]]).tolist() == ["coffee"]
    with pytest.raises(ValueError, match="y has numbers, but the initial model has the class 'coffee'"):
        TextRNNClassifier(epochs=1, settings=settings).fit([f"still water {n}" for n in range(20)], [1] * 20)
