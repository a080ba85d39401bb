"""Several runs from one config: what they leave, that they can be stopped, and that nothing else is touched."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from samples import make_config, write_rows
from textrnn.config import Config, load_config
from textrnn.errors import ConfigError, DataError, ModelError, StoppedError
from textrnn.experiments import runs as module
from textrnn.experiments.runs import resume_study, run_study
from textrnn.experiments.variations import Study
from textrnn.reporter import Reporter
from textrnn.serialization.latest_run import find_latest, is_experiment
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.training.train import train


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path("rows.tsv"))


def small(**values: object) -> Config:
    network = {"tokenizer__vocab_size": 80, "model__hidden": 4, "model__embedding": 8, "train__batch_size": 4}
    return make_config(**{"data__train": "rows.tsv", "train__epochs": 2, "train__lr": 0.01} | network | values)


class Stopping(Reporter):
    """Sends a signal after some steps."""

    def __init__(self, steps: int, number: signal.Signals = signal.SIGTERM) -> None:
        self.left, self.number = steps, number
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.number)


def contents(folder: Path) -> dict[str, bytes]:
    names = ("model.safetensors", "config.yaml", "summary.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.name in names}


def test_folds_are_runs_of_their_own_and_the_best_is_the_latest() -> None:
    found = run_study(Study("fold", 3, small(data__test="rows.tsv"), "textrnn train x"), Path("out"))
    assert sorted(path.name for path in Path("out").iterdir()) == ["fold-1", "fold-2", "fold-3", *FILES]
    summary = json.loads(Path("out/summary.json").read_text())
    assert summary == found.to_dict()
    assert set(summary["valid"]) == {"accuracy", "micro_f1", "macro_f1", "weighted_f1", "loss"}
    assert (summary["kind"], summary["metric"], list(summary["runs"])) == (
        "fold",
        "loss",
        ["fold-1", "fold-2", "fold-3"],
    )
    accuracies, losses = [], []
    for name, run in summary["runs"].items():
        records = [json.loads(line) for line in Path("out", name, "metrics.jsonl").read_text().splitlines()]
        best = next(record for record in reversed(records) if record["best"])
        assert (run["epoch"], run["valid"]["accuracy"]) == (best["epoch"], best["accuracy"])
        accuracies.append(best["accuracy"])
        assert best["valid_loss"] == min(record["valid_loss"] for record in records)
        losses.append(best["valid_loss"])
        assert set(run["test"]) == set(summary["valid"]) - {"micro_f1"}  # of one label a text it is the accuracy
        assert Path("out", name, "command.txt").read_text() == "textrnn train x\n"
    assert summary["valid"]["accuracy"]["mean"] == pytest.approx(sum(accuracies) / 3)
    assert summary["runs"][found.best]["valid"]["loss"] == min(losses)
    assert find_latest() == Path("out") / found.best


FILES = ["study.json", "summary.json"]


def test_a_fold_has_the_bytes_of_the_run_that_its_config_gives() -> None:
    run_study(Study("fold", 2, small(model__dropout=0.3)), Path("out"))
    train(load_config(Path("out/fold-2/config.yaml")), Path("single"))
    for name in ("model.safetensors", "config.yaml"):
        assert Path("single", name).read_bytes() == Path("out/fold-2", name).read_bytes()


def test_the_text_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encode, calls = Tokenizer.encode_packed, []

    def count(self: Tokenizer, texts: list[bytes], **options: int) -> object:
        calls.append(len(texts))
        return encode(self, texts, **options)

    monkeypatch.setattr(Tokenizer, "encode_packed", count)
    run_study(Study("fold", 3, small(train__epochs=1, data__cache="cache")), Path("out"))
    assert sum(calls) == 40


def test_seeds_differ() -> None:
    found = run_study(Study("seed", 2, small(train__seed=5)), Path("out"))
    assert list(found.runs) == ["seed-5", "seed-6"]
    assert found.runs["seed-5"].valid["loss"] != found.runs["seed-6"].valid["loss"]
    train(small(train__seed=6), Path("single"))
    assert Path("single/model.safetensors").read_bytes() == Path("out/seed-6/model.safetensors").read_bytes()


@pytest.mark.parametrize("steps", [3, 18])  # within the first run, and within the second
def test_a_stopped_study_ends_as_one_that_was_not(steps: int) -> None:
    wanted = Study("fold", 3, small(model__dropout=0.3))
    run_study(wanted, Path("whole"))
    done = (steps - 1) // 14
    with pytest.raises(StoppedError, match=rf"^{done} of 3 runs are done; go on with: textrnn train --resume parts$"):
        run_study(wanted, Path("parts"), reporter=Stopping(steps))
    assert is_experiment(Path("parts"))
    assert not Path("parts/summary.json").exists()
    again = Stopping(10)
    with pytest.raises(StoppedError):
        resume_study(Path("parts"), reporter=again)
    assert next(note for note in again.notes if ", run " in note) == f"fold-{done + 1}, run {done + 1} of 3"
    assert any(note.startswith("going on in epoch") for note in again.notes)
    (Path("parts/fold-3")).mkdir(exist_ok=True)
    Path("parts/fold-3/metrics.jsonl").write_text("of a run that was killed")
    resume_study(Path("parts"), wanted=wanted)
    assert contents(Path("parts")) == contents(Path("whole"))
    assert resume_study(Path("parts"), reporter=Stopping(1)) == resume_study(Path("whole"))  # nothing is left to do


def test_a_second_signal_is_told_how_to_go_on_too() -> None:
    class Impatient(Stopping):
        def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
            raise KeyboardInterrupt

    shown = Impatient(1)
    with pytest.raises(KeyboardInterrupt):
        run_study(Study("fold", 2, small()), Path("out"), reporter=shown)
    assert "0 of 2 runs are done; go on with: textrnn train --resume out" in shown.notes


def test_another_study_is_not_gone_on_with() -> None:
    run_study(Study("fold", 2, small(train__epochs=1)), Path("out"))
    for other in (Study("fold", 3, small(train__epochs=1)), Study("fold", 2, small(train__epochs=2))):
        with pytest.raises(ConfigError, match="--resume out: holds a study of other settings"):
            resume_study(Path("out"), wanted=other)
    with pytest.raises(ModelError, match=r"gone: holds no study\.json"):
        resume_study(Path("gone"))
    for broken in ("{", "[]", "{}", '{"format_version": 9}'):
        Path("out/study.json").write_text(broken)
        with pytest.raises(ModelError, match=r"study\.json: not the record of a study, or damaged"):
            resume_study(Path("out"))


def test_an_earlier_study_is_kept_until_the_text_is_read() -> None:
    wanted = Study("seed", 1, small(train__epochs=1))
    run_study(wanted, Path("out"))
    with pytest.raises(DataError, match=r"gone\.tsv"):
        run_study(Study("seed", 1, small(data__train="gone.tsv")), Path("out"), overwrite=True)
    shown = Stopping(999)
    run_study(wanted, Path("out"), reporter=shown)
    assert "an earlier study was in out; it is kept as out.1" in shown.notes
    run_study(Study("fold", 2, small(train__epochs=1)), Path("out"), overwrite=True)
    assert sorted(path.name for path in Path("out").iterdir()) == ["fold-1", "fold-2", *FILES]
    assert contents(Path("out.1"))
    assert not Path("out.2").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_things_in_the_folder_are_left_alone(overwrite: bool) -> None:
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("mine")
    for out, fault in (("out", "holds thesis.txt"), ("rows.tsv", "a file"), (".", "a folder of its own")):
        with pytest.raises(ConfigError, match=fault):
            run_study(Study("seed", 1, small()), Path(out), overwrite=overwrite)
    Path("run").mkdir()
    Path("run/fold-1").mkdir()
    with pytest.raises(ConfigError, match="holds fold-1, no part of a study"):
        run_study(Study("seed", 1, small()), Path("run"), overwrite=overwrite)


def test_folds_without_texts_are_told_before_anything_is_trained() -> None:
    with pytest.raises(DataError, match="too few texts to hold some out"):
        run_study(Study("fold", 41, small()), Path("out"))
    assert not Path("out").exists()


def test_a_pointer_that_cannot_be_written_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(module, "point_to", fail)
    shown = Stopping(999)
    run_study(Study("seed", 1, small(train__epochs=1)), Path("out"), reporter=shown)
    assert any("name this run with -m out/seed-42" in note for note in shown.notes)


def test_texts_with_several_labels() -> None:
    rows = [f"{'hot|tea' if i % 2 else 'coffee'}\t{'green tea' if i % 2 else 'black coffee'} {i}\n" for i in range(40)]
    Path("sets.tsv").write_text("".join(rows))
    several = {"data__multi_label": True, "data__label_separator": "|", "train__metric": "micro_f1"}
    config = small(data__train="sets.tsv", data__test="sets.tsv", train__epochs=6, **several)
    found = run_study(Study("fold", 2, config), Path("out"))
    assert found.test is not None
    assert found.test["micro_f1"].mean > 0.9
    assert found.valid["micro_f1"].mean > 0.9


def test_a_fault_that_comes_late_takes_nothing_along() -> None:
    run_study(Study("seed", 1, small(train__epochs=1)), Path("out"))
    before = contents(Path("out"))
    with pytest.raises(ConfigError, match=r"train\.class_weights"):
        run_study(Study("seed", 2, small(train__class_weights={"typo": 2.0})), Path("out"), overwrite=True)
    assert contents(Path("out.1")) == before
