"""The search: what it tries and leaves, that it gives up, that it can be stopped, and what is told of faults."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from samples import make_config, write_rows
from textrnn.config import Config, load_config
from textrnn.errors import ConfigError, DataError, DivergedError, ModelError, OutOfMemoryError, StoppedError
from textrnn.experiments import search as search_module
from textrnn.experiments.search import Tuned, tune
from textrnn.experiments.search_space import Choice, Dimension, Range
from textrnn.reporter import EpochRecord, Reporter
from textrnn.serialization.latest_run import find_latest
from textrnn.serialization.model_file import load_model

optuna = pytest.importorskip("optuna", reason="the extra tune is not installed")

SPACE: list[Dimension] = [
    Range("train.lr", 1e-4, 0.1, log=True),
    Range("model.layers", 1, 2, whole=True),
    Choice("model.hidden", (4, 6)),
]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path("rows.tsv"))


def small(**values: object) -> Config:
    network = {"tokenizer__vocab_size": 80, "model__embedding": 8, "train__batch_size": 8, "train__metric": "loss"}
    return make_config(**{"data__train": "rows.tsv", "train__epochs": 2} | network | values)


class Recorder(Reporter):
    """Keeps the notes, and sends a signal after some steps."""

    def __init__(self, steps: int = -1) -> None:
        self.left = steps
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


def search(out: str = "out", *, trials: int, config: Config | None = None, **options: Any) -> Tuned:
    options = {"space": SPACE, "reporter": Recorder()} | options
    space = options.pop("space")
    return tune(config or small(), space, Path(out), trials=trials, command="textrnn tune again", **options)


def history(out: str) -> list[tuple[Any, ...]]:
    study = optuna.load_study(study_name="textrnn", storage=f"sqlite:///{out}/study.db")
    finished = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    return [(trial.state.name, trial.params, trial.value, trial.intermediate_values) for trial in finished]


def test_the_winner_is_left_as_a_config_that_runs_and_as_a_run() -> None:
    shown = Recorder()
    found = search(trials=3, reporter=shown)
    assert sorted(path.name for path in Path("out").iterdir()) == ["best.yaml", "study.db", "trials"]
    assert [path.name for path in Path("out/trials").iterdir()] == [str(found.number)]
    assert found.folder == find_latest() == Path("out/trials", str(found.number))
    text = found.path.read_text()
    assert text.splitlines()[0] == "# textrnn train out/best.yaml"
    best = load_config(found.path)
    assert (best.train.lr, best.model.layers, best.model.hidden) == tuple(found.values.values())
    assert best.model_dump(exclude={"train": {"lr"}, "model": {"layers", "hidden"}}) == small().model_dump(
        exclude={"train": {"lr"}, "model": {"layers", "hidden"}}
    )
    assert load_model(found.folder).config == best
    values = [value for _, _, value, _ in history("out")]
    assert (found.score, found.done, found.pruned) == (min(values), 3, 0)
    assert values.index(min(values)) == found.number - 1
    trials = [note for note in shown.notes if note.startswith("trial ")]
    assert [note.split(":")[0] for note in trials] == [f"trial {number} of 3" for number in (1, 2, 3)]
    assert all("(train.lr 0.0" in note and "; best so far loss " in note for note in trials)
    assert not any(note.startswith(("epoch", "model:")) for note in shown.notes)
    assert sum(note.startswith("data: ") for note in shown.notes) == 1


def test_a_stopped_search_ends_as_one_that_was_not() -> None:
    search("whole", trials=4)
    search("parts", trials=1)
    with pytest.raises(
        StoppedError, match=r"^1 of 4 trials are done; best so far loss .*; go on with: textrnn tune again"
    ):
        search("parts", trials=4, reporter=Recorder(6))
    study = optuna.load_study(study_name="textrnn", storage="sqlite:///parts/study.db")
    study.ask()  # as one that a killed process left
    Path("parts/trials/2").mkdir(exist_ok=True)
    found = search("parts", trials=4)
    assert history("parts") == history("whole")
    assert len({str(entry[1]) for entry in history("parts")}) == 4
    assert (Path("parts/best.yaml").read_text()).replace("parts", "whole") == Path("whole/best.yaml").read_text()
    model = "model.safetensors"
    assert (found.folder / model).read_bytes() == Path("whole/trials", str(found.number), model).read_bytes()
    assert search("parts", trials=2, reporter=Recorder(1)) == found  # more than that are done


def test_a_trial_that_falls_behind_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "_WHOLE_TRIALS", 1)
    rest = {
        "step": 1,
        "loss": 1.0,
        "lr": 0.1,
        "seconds": 1.0,
        "tokens_per_second": 1.0,
        "macro_f1": 0.0,
        "network_loss": 1.0,
    }
    trained: list[int] = []

    def pretend(config: Config, folder: Path, *, reporter: Reporter, **_: object) -> Any:
        number = int(folder.name)
        for epoch in range(1, 6):
            trained.append(number)
            better = {"accuracy": 0.9 if number == 1 else 0.5, "valid_loss": 0.1 if number == 1 else 0.5}
            record = EpochRecord(epoch=epoch, best=True, weighted_f1=0.0, micro_f1=0.0, **better, **rest)  # type: ignore[arg-type]
            reporter.end_epoch(record)
        return type("Outcome", (), {"best": record})

    monkeypatch.setattr(search_module, "train", pretend)
    for metric, score in (("accuracy", "accuracy 50.00 %"), ("loss", "loss 0.5000")):
        trained.clear()
        shown = Recorder()
        found = search(metric, trials=2, config=small(train__metric=metric), reporter=shown)
        assert trained == [1] * 5 + [2] * 3  # never in the first two epochs
        assert (found.number, found.pruned) == (1, 1)
        assert f"trial 2 of 2: given up after epoch 3 at {score} (" in shown.notes[-1]


@pytest.mark.parametrize(
    "error", [DivergedError("rows.tsv", None, "the loss is nan"), OutOfMemoryError("out of memory")]
)
def test_a_trial_that_fails_is_given_up_and_the_search_goes_on(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tried = search_module.train, []

    def fail_first(config: Config, folder: Path, **options: Any) -> Any:
        tried.append(folder.name)
        if len(tried) == 1:
            raise error
        return real(config, folder, **options)

    monkeypatch.setattr(search_module, "train", fail_first)
    shown = Recorder()
    found = search(trials=2, reporter=shown)
    assert (tried, found.number, found.pruned) == (["1", "2"], 2, 1)
    assert any(note.startswith(f"trial 1 of 2: given up: {error}") for note in shown.notes)
    tried.clear()
    with pytest.raises(DataError, match=r"rows\.tsv: no trial came to its end"):
        search("other", trials=1)
    assert not list(Path("other/trials").glob("*"))


def test_another_search_in_the_folder_is_refused() -> None:
    search(trials=1)
    database = Path("out/study.db").read_bytes()
    for others in ({"config": small(model__dropout=0.3)}, {"space": SPACE[:2]}):
        with pytest.raises(ConfigError, match="--out out: holds a search with another config or space"):
            search(trials=2, **others)  # type: ignore[arg-type]
    assert len(history("out")) == 1
    Path("out/thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"--out out: holds thesis\.txt, no part of a search"):
        search(trials=2)
    Path("broken").mkdir()
    Path("broken/study.db").write_bytes(database[:100] + b"x" * 5000)
    with pytest.raises(ModelError, match=r"study\.db: not the database of a search, or damaged"):
        search("broken", trials=1)


def test_a_fault_in_the_data_leaves_nothing() -> None:
    with pytest.raises(DataError, match=r"gone\.tsv"):
        search(trials=1, config=small(data__train="gone.tsv"))
    with pytest.raises(ConfigError, match="tune: - is a pipe"):
        search(trials=1, config=small(data__train="-"))
    assert not Path("out").exists()


def test_a_second_signal_is_told_how_to_go_on_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(search_module, "train", interrupt)
    shown = Recorder()
    with pytest.raises(KeyboardInterrupt):
        search(trials=2, reporter=shown)
    assert shown.notes[-1] == "0 of 2 trials are done; go on with: textrnn tune again"


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="optuna is not installed; pip install optuna"):
        search(trials=1)


def test_a_folder_of_trials_of_another_kind_is_left_alone() -> None:
    Path("out/trials/patient-7").mkdir(parents=True)
    Path("out/trials/patient-7/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"--out out: holds no study\.db, so no search"):
        search(trials=1)
    assert Path("out/trials/patient-7/notes.txt").read_text() == "mine"


def test_values_that_do_not_go_together_are_given_up() -> None:
    space = [Choice("tokenizer.model_type", ("char", "unigram")), Choice("tokenizer.alpha", (0.2, None))]
    found = search(trials=6, space=space)
    assert found.done == 6
    values = found.values
    assert values["tokenizer.model_type"] == "unigram" or values["tokenizer.alpha"] is None
    assert found.pruned > 0
