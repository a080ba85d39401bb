"""Experiments: the files they leave, their results, and resuming them."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from samples import MULTI_LABEL, Recorder, read_metrics, small_config
from textrnn.config import load_config
from textrnn.errors import ConfigError, DataError, ModelError, StoppedError
from textrnn.experiments.runs import resume_experiment, run_experiment
from textrnn.experiments.variations import CrossValidation, LearningCurve, SeedRuns
from textrnn.serialization.latest_run import find_latest, is_experiment
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.training.train import train

pytestmark = pytest.mark.usefixtures("rows")
OUT = Path("out")
FILES = ["out_of_fold.jsonl", "study.json", "summary.json"]
tiny_config = partial(small_config, "rows.tsv", model__hidden=4, model__embedding=8, train__epochs=2)


def read_files(folder: Path) -> dict[str, bytes]:
    names = ("model.safetensors", "config.yaml", "summary.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.name in names}


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_fold_is_a_run_and_the_best_becomes_the_latest() -> None:
    summary = run_experiment(CrossValidation(tiny_config(data__test="rows.tsv"), 3, "textrnn train x"), OUT)
    folds = ["fold-1", "fold-2", "fold-3"]
    assert list_names(OUT) == [*folds, *FILES]
    written = json.loads((OUT / "summary.json").read_text())
    assert written == asdict(summary)
    assert set(written["valid"]) == {"accuracy", "micro_f1", "macro_f1", "weighted_f1", "loss"}
    assert (written["kind"], written["metric"], list(written["runs"])) == ("fold", "loss", folds)
    accuracies, losses = [], []
    for name, run in written["runs"].items():
        records = read_metrics(OUT / name)
        best = next(record for record in reversed(records) if record["best"])
        assert (run["epoch"], run["valid"]["accuracy"]) == (best["epoch"], best["accuracy"])
        accuracies.append(best["accuracy"])
        assert best["valid_loss"] == min(record["valid_loss"] for record in records)
        losses.append(best["valid_loss"])
        assert set(run["test"]) == set(written["valid"]) - {"micro_f1"}  # equals the accuracy
        assert (OUT / name / "command.txt").read_text() == "textrnn train x\n"
    assert written["valid"]["accuracy"]["mean"] == pytest.approx(sum(accuracies) / 3)
    assert written["runs"][summary.best]["valid"]["loss"] == min(losses)
    assert find_latest() == OUT / summary.best


def test_a_fold_equals_a_single_run_of_its_config() -> None:
    run_experiment(CrossValidation(tiny_config(model__dropout=0.3), 2), OUT)
    train(load_config(OUT / "fold-2" / "config.yaml"), Path("single"))
    assert read_files(Path("single")) == read_files(OUT / "fold-2")


def test_the_text_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encode, calls = Tokenizer.encode_packed, []

    def count(self: Tokenizer, texts: list[bytes], **options: int) -> object:
        if not options:  # otherwise these are parts of texts
            calls.append(len(texts))
        return encode(self, texts, **options)

    monkeypatch.setattr(Tokenizer, "encode_packed", count)
    run_experiment(CrossValidation(tiny_config(train__epochs=1, data__cache="cache"), 3), OUT)
    assert sum(calls) == 40


def test_seeds_give_different_runs() -> None:
    summary = run_experiment(SeedRuns(tiny_config(train__seed=5), 2), OUT)
    assert list(summary.runs) == ["seed-5", "seed-6"]
    assert summary.runs["seed-5"].valid["loss"] != summary.runs["seed-6"].valid["loss"]
    train(tiny_config(train__seed=6), Path("single"))
    assert read_files(Path("single")) == read_files(OUT / "seed-6")


@pytest.mark.parametrize("step", [3, 18])  # in the first run, and in the second
def test_a_resumed_experiment_ends_like_an_uninterrupted_one(step: int) -> None:
    experiment, parts, whole = CrossValidation(tiny_config(model__dropout=0.3), 3), Path("parts"), Path("whole")
    run_experiment(experiment, whole)
    done = (step - 1) // 14
    with pytest.raises(StoppedError, match=rf"^{done} of 3 runs are done; resume with: textrnn train --resume parts$"):
        run_experiment(experiment, parts, reporter=Recorder(step))
    assert is_experiment(parts)
    assert not (parts / "summary.json").exists()
    recorder = Recorder(10)
    with pytest.raises(StoppedError):
        resume_experiment(parts, reporter=recorder)
    assert next(note for note in recorder.notes if ", run " in note) == f"fold-{done + 1}, run {done + 1} of 3"
    assert any(note.startswith("resuming in epoch") for note in recorder.notes)
    (parts / "fold-3").mkdir(exist_ok=True)
    (parts / "fold-3" / "metrics.jsonl").write_text("of a run that was killed")
    resume_experiment(parts, expected=experiment)
    assert read_files(parts) == read_files(whole)
    assert resume_experiment(parts, reporter=Recorder(1)) == resume_experiment(whole)  # nothing is left to do


def test_a_second_signal_also_reports_how_to_resume() -> None:
    class Impatient(Recorder):
        def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    recorder = Impatient()
    with pytest.raises(KeyboardInterrupt):
        run_experiment(CrossValidation(tiny_config(), 2), OUT, reporter=recorder)
    assert "0 of 2 runs are done; resume with: textrnn train --resume out" in recorder.notes


def test_another_experiment_is_not_resumed() -> None:
    config = tiny_config(train__epochs=1)
    run_experiment(CrossValidation(config, 2), OUT)
    for other in (CrossValidation(config, 3), SeedRuns(config, 2), CrossValidation(tiny_config(), 2)):
        with pytest.raises(ConfigError, match="--resume out"):
            resume_experiment(OUT, expected=other)
    with pytest.raises(ModelError, match=r"gone: contains no study\.json"):
        resume_experiment(Path("gone"))
    for broken in ("{", "[]", "{}", '{"format_version": 9}'):
        (OUT / "study.json").write_text(broken)
        with pytest.raises(ModelError, match=r"study\.json"):
            resume_experiment(OUT)


def test_an_earlier_experiment_moves_once_the_data_are_read() -> None:
    experiment = SeedRuns(tiny_config(train__epochs=1), 1)
    run_experiment(experiment, OUT)
    with pytest.raises(DataError, match=r"gone\.tsv"):
        run_experiment(SeedRuns(tiny_config(data__train="gone.tsv"), 1), OUT, overwrite=True)
    recorder = Recorder()
    run_experiment(experiment, OUT, reporter=recorder)
    assert "moved the earlier experiment in out to out.1" in recorder.notes
    run_experiment(CrossValidation(tiny_config(train__epochs=1), 2), OUT, overwrite=True)
    assert list_names(OUT) == ["fold-1", "fold-2", *FILES]
    assert not Path("out.2").exists()
    before = read_files(OUT)
    with pytest.raises(ConfigError, match=r"train\.class_weights"):
        run_experiment(SeedRuns(tiny_config(train__class_weights={"typo": 2.0}), 2), OUT, overwrite=True)
    assert read_files(Path("out.2")) == before  # a late fault deletes nothing


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_files_in_the_folder_are_refused(overwrite: bool) -> None:
    OUT.mkdir()
    (OUT / "thesis.txt").write_text("mine")
    Path("run/fold-1").mkdir(parents=True)
    for out, fault in (
        ("out", "contains thesis.txt"),
        ("rows.tsv", "a file"),
        (".", "of its own"),
        ("run", "contains fold-1"),
    ):
        with pytest.raises(ConfigError, match=fault):
            run_experiment(SeedRuns(tiny_config(), 1), Path(out), overwrite=overwrite)


def test_an_empty_fold_is_found_before_anything_is_trained() -> None:
    with pytest.raises(DataError, match="too few texts"):
        run_experiment(CrossValidation(tiny_config(), 41), OUT)
    assert not OUT.exists()


def test_multi_label_data() -> None:
    lines = [f"{'hot|tea' if i % 2 else 'coffee'}\t{'green tea' if i % 2 else 'black coffee'} {i}\n" for i in range(40)]
    Path("sets.tsv").write_text("".join(lines))
    values = {"data__train": "sets.tsv", "data__test": "sets.tsv", "train__epochs": 6, "train__metric": "micro_f1"}
    summary = run_experiment(CrossValidation(tiny_config(**values, **MULTI_LABEL), 2), OUT)
    assert summary.test is not None
    assert summary.test["micro_f1"].mean > 0.9
    assert summary.valid["micro_f1"].mean > 0.9


def test_an_interrupted_curve_is_resumed_and_the_summary_compares_the_whole_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LearningCurve, "PARTS", (4, 1))
    experiment = LearningCurve(tiny_config(train__epochs=1), 6)
    with pytest.raises(StoppedError, match=r"^1 of 6 runs are done; resume with: textrnn train --resume out$"):
        run_experiment(experiment, Path("out"), reporter=Recorder(4))
    summary = resume_experiment(Path("out"), expected=experiment)
    assert [*summary.runs] == ["part-1-seed-42", "part-1-seed-43", "part-1-seed-44"]
    assert summary.best in summary.runs
    assert summary.curve is not None
    assert [point.texts for point in summary.curve.points] == [8, 36]
    accuracies = [read_metrics(Path("out", name))[0]["accuracy"] for name in summary.runs]
    assert summary.curve.points[-1].mean == pytest.approx(sum(accuracies) / 3)
    assert json.loads(Path("out/summary.json").read_text())["curve"]["doubled_texts"] == 72
    assert len([*Path("out").glob("part-*")]) == 6
