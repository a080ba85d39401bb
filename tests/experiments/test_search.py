"""The search: its trials and files, pruning, resuming, and faults."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from samples import Recorder, make_record, small_config
from textrnn.config import Config, load_config
from textrnn.errors import ConfigError, DataError, DivergedError, ModelError, OutOfMemoryError, StoppedError
from textrnn.experiments import search as search_module
from textrnn.experiments.search import SearchResult, tune
from textrnn.experiments.search_space import Choice, Dimension, Range
from textrnn.reporter import Reporter
from textrnn.serialization.latest_run import find_latest
from textrnn.serialization.model_file import load_model
from textrnn.training.model_setup import resolve_precision

optuna = pytest.importorskip("optuna", reason="the extra tune is not installed")

pytestmark = pytest.mark.usefixtures("rows")
tiny_config = partial(
    small_config, "rows.tsv", model__embedding=8, train__batch_size=8, train__epochs=2, train__metric="loss"
)
SPACE: list[Dimension] = [
    Range("train.lr", 1e-4, 0.1, log=True),
    Range("model.layers", 1, 2, whole=True),
    Choice("model.hidden", (4, 6)),
]


def search(out: str = "out", *, trials: int | None, config: Config | None = None, **options: Any) -> SearchResult:
    options = {"space": SPACE, "reporter": Recorder()} | options
    space = options.pop("space")
    return tune(config or tiny_config(), space, Path(out), trials=trials, command="textrnn tune again", **options)


def history(out: str) -> list[tuple[Any, ...]]:
    study = optuna.load_study(study_name="textrnn", storage=f"sqlite:///{out}/study.db")
    finished = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    return [(trial.state.name, trial.params, trial.value, trial.intermediate_values) for trial in finished]


def test_the_best_trial_is_kept_as_a_config_and_a_run() -> None:
    recorder = Recorder()
    result = search(trials=3, reporter=recorder)
    assert sorted(path.name for path in Path("out").iterdir()) == ["best.yaml", "study.db", "trials"]
    assert [path.name for path in Path("out/trials").iterdir()] == [str(result.number)]
    assert result.folder == find_latest() == Path("out/trials", str(result.number))
    text = result.path.read_text()
    assert text.splitlines()[0] == "# textrnn train out/best.yaml"
    best = load_config(result.path)
    assert (best.train.lr, best.model.layers, best.model.hidden) == tuple(result.values.values())
    config = tiny_config()
    searched = {"train": {"lr": best.train.lr}, "model": {"layers": best.model.layers, "hidden": best.model.hidden}}
    expected = {name: values | searched.get(name, {}) for name, values in config.model_dump().items()}
    assert best.model_dump() == expected
    assert load_model(result.folder).config == resolve_precision(best)
    values = [value for _, _, value, _ in history("out")]
    assert (result.score, result.done, result.pruned) == (min(values), 3, 0)
    assert values.index(min(values)) == result.number - 1
    trials = [note for note in recorder.notes if note.startswith("trial ")]
    assert [note.split(":")[0] for note in trials] == [f"trial {number} of 3" for number in (1, 2, 3)]
    assert all("(train.lr 0.0" in note and "; best so far loss " in note for note in trials)
    assert not any(note.startswith(("epoch", "model:")) for note in recorder.notes)
    assert sum(note.startswith("data: ") for note in recorder.notes) == 1


def test_a_resumed_search_ends_like_an_uninterrupted_one() -> None:
    search("whole", trials=4)
    search("parts", trials=1)
    with pytest.raises(
        StoppedError, match=r"^1 of 4 trials are done; best so far loss .*; resume with: textrnn tune again"
    ):
        search("parts", trials=4, reporter=Recorder(6))
    study = optuna.load_study(study_name="textrnn", storage="sqlite:///parts/study.db")
    study.ask()  # as after a kill
    Path("parts/trials/2").mkdir(exist_ok=True)
    result = search("parts", trials=4)
    assert history("parts") == history("whole")
    assert len({str(entry[1]) for entry in history("parts")}) == 4
    assert (Path("parts/best.yaml").read_text()).replace("parts", "whole") == Path("whole/best.yaml").read_text()
    model = "model.safetensors"
    assert (result.folder / model).read_bytes() == Path("whole/trials", str(result.number), model).read_bytes()
    assert search("parts", trials=2, reporter=Recorder(1)) == result  # all are done


def test_no_trial_starts_after_the_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def train(config: Config, folder: Path, **_: object) -> Any:
        clock[0] += 60
        return type("Outcome", (), {"best": make_record(1)})

    monkeypatch.setattr(search_module, "train", train)
    monkeypatch.setattr(search_module.time, "monotonic", lambda: clock[0])
    recorder = Recorder()
    assert search(trials=None, minutes=2.5, reporter=recorder).done == 3
    trials = [note.split(":")[0] for note in recorder.notes if note.startswith("trial ")]
    assert trials == ["trial 1", "trial 2", "trial 3"]
    assert recorder.notes[-1].startswith("2.5 minutes are over; 3 trials are done; best so far ")
    assert recorder.notes[-1].endswith("; resume with: textrnn tune again")
    assert search(trials=None, minutes=1).done == 4  # each call has its own minutes
    recorder = Recorder()
    assert search(trials=6, minutes=100, reporter=recorder).done == 6
    assert not any("are over" in note for note in recorder.notes)
    assert search("other", trials=2, minutes=0).done == 1  # there is always a best
    assert search("other", trials=2, minutes=0).done == 1


def test_a_trial_that_falls_behind_is_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "_UNPRUNED_TRIALS", 1)
    epochs: list[int] = []

    def train(config: Config, folder: Path, *, reporter: Reporter, **_: object) -> Any:
        number = int(folder.name)
        for epoch in range(1, 6):
            epochs.append(number)
            record = make_record(epoch) if number > 1 else make_record(epoch, accuracy=0.9, valid_loss=0.1)
            reporter.end_epoch(record)
        return type("Outcome", (), {"best": record})

    monkeypatch.setattr(search_module, "train", train)
    for metric, score in (("accuracy", "accuracy 50.00 %"), ("loss", "loss 0.5000")):
        epochs.clear()
        recorder = Recorder()
        result = search(metric, trials=2, config=tiny_config(train__metric=metric), reporter=recorder)
        assert epochs == [1] * 5 + [2] * 3  # never in the first two epochs
        assert (result.number, result.pruned) == (1, 1)
        assert f"trial 2 of 2: pruned after epoch 3 at {score} (" in recorder.notes[-1]


@pytest.mark.parametrize(
    "error", [DivergedError("rows.tsv", None, "the loss is nan"), OutOfMemoryError("out of memory")]
)
def test_a_failing_trial_does_not_end_the_search(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = search_module.train, []

    def fail_first(config: Config, folder: Path, **options: Any) -> Any:
        tried.append(folder.name)
        if len(tried) == 1:
            raise error
        return real(config, folder, **options)

    monkeypatch.setattr(search_module, "train", fail_first)
    recorder = Recorder()
    result = search(trials=2, reporter=recorder)
    assert (tried, result.number, result.pruned) == (["1", "2"], 2, 1)
    assert any(note.startswith(f"trial 1 of 2: failed: {error}") for note in recorder.notes)
    tried.clear()
    with pytest.raises(DataError, match=r"rows\.tsv: no trial finished"):
        search("other", trials=1)
    assert not list(Path("other/trials").glob("*"))


def test_another_search_in_the_folder_is_refused() -> None:
    search(trials=1)
    database = Path("out/study.db").read_bytes()
    for others in ({"config": tiny_config(model__dropout=0.3)}, {"space": SPACE[:2]}):
        with pytest.raises(ConfigError, match="another config or space"):
            search(trials=2, **others)  # type: ignore[arg-type]
    assert len(history("out")) == 1
    Path("out/thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"contains thesis\.txt"):
        search(trials=2)
    Path("broken").mkdir()
    Path("broken/study.db").write_bytes(database[:100] + b"x" * 5000)
    with pytest.raises(ModelError, match=r"study\.db"):
        search("broken", trials=1)


def test_a_fault_of_the_data_leaves_no_folder() -> None:
    with pytest.raises(DataError, match=r"gone\.tsv"):
        search(trials=1, config=tiny_config(data__train="gone.tsv"))
    with pytest.raises(ConfigError, match="tune: - is a pipe"):
        search(trials=1, config=tiny_config(data__train="-"))
    assert not Path("out").exists()


def test_a_second_signal_also_reports_how_to_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(search_module, "train", interrupt)
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        search(trials=2, reporter=recorder)
    assert recorder.notes[-1] == "0 of 2 trials are done; resume with: textrnn tune again"


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"tune: needs the package optuna; pip install 'textrnn\[tune\]'"):
        search(trials=1)


def test_a_folder_of_other_trials_is_refused() -> None:
    Path("out/trials/patient-7").mkdir(parents=True)
    Path("out/trials/patient-7/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"--out out: contains trials"):
        search(trials=1)
    assert Path("out/trials/patient-7/notes.txt").read_text() == "mine"


def test_values_that_cannot_be_combined_fail() -> None:
    space = [Choice("tokenizer.model_type", ("char", "unigram")), Choice("tokenizer.alpha", (0.2, None))]
    result = search(trials=6, space=space)
    assert result.done == 6
    values = result.values
    assert values["tokenizer.model_type"] == "unigram" or values["tokenizer.alpha"] is None
    assert result.pruned > 0
