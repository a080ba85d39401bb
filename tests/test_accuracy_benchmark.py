"""benchmarks/accuracy.py and baselines.py: once for real on forty texts, else with trainings that are made up."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from samples import write_rows

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
HAS_FASTTEXT = importlib.util.find_spec("fasttext") is not None
Call = Callable[..., "tuple[list[str], list[str]]"]
SCORES = {"sru": (0.5, 0.7), "gru": (0.6, 0.6), "vectors": (0.9, 0.9)}  # of seeds 1 and 2


@pytest.fixture
def accuracy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("accuracy")


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """A folder with the set drinks, and with the set 음료, which has too little ASCII for English."""
    for name in ("drinks", "음료"):
        (tmp_path / name).mkdir()
        for part in ("train", "valid", "test"):
            path = write_rows(tmp_path / name / f"{part}.tsv")
            if name == "음료":
                path.write_text(path.read_text(encoding="utf-8").replace("e", "에"), encoding="utf-8")
    return tmp_path


class Trainings:
    """Stands for the commands: notes each call, and gives the scores above after 10 s for SRU and 30 s for GRU."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.caches: set[str] = set()
        self.more: dict[str, float] = {}

    def __call__(self, *arguments: object, cwd: Path, environment: dict[str, str]) -> tuple[bytes, float]:
        call = tuple(map(str, arguments))
        self.calls.append(call)
        if call[0] == "train":
            self.caches.add(environment["XDG_CACHE_HOME"])
            return b"", 30.0 if "gru" in call else 10.0
        trained = self.calls[-2]
        seed = int(next(word for word in trained if word.startswith("train.seed=")).split("=")[1])
        cell = "vectors" if "--vectors" in trained else trained[trained.index("--cell") + 1]
        return json.dumps({"accuracy": SCORES[cell][seed - 1], **self.more}).encode(), 1.0


@pytest.fixture
def trainings(accuracy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    trainings = Trainings()
    candidate = importlib.import_module("baselines").Candidate
    monkeypatch.setattr(accuracy, "run", trainings)
    monkeypatch.setattr(accuracy, "try_fasttext", lambda data, seed: [candidate(0.5, 0.8, {})])
    monkeypatch.setattr(accuracy, "try_svm", lambda data: [candidate(0.5, 0.75, {})])
    monkeypatch.setattr(accuracy, "has_fasttext", lambda: True)
    return trainings


@pytest.fixture
def call(
    accuracy: ModuleType, trainings: Trainings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run the benchmark in this process; the lines of its stdout and its stderr come back."""

    def run(*arguments: object) -> tuple[list[str], list[str]]:
        monkeypatch.setattr(sys, "argv", ["accuracy.py", *map(str, arguments)])
        accuracy.main()
        printed = capsys.readouterr()
        return printed.out.splitlines(), printed.err.splitlines()

    return run


def test_trains_as_a_user_would_and_tabulates(call: Call, trainings: Trainings, sets: Path) -> None:
    vectors = sets / "words.txt"
    vectors.write_text("tea 0.1 0.2\n")
    out, err = call("--data", sets, "--seeds", 2, "--vectors", vectors)
    assert out == [
        "| | drinks | 음료 | mean |",
        "|---|---|---|---|",
        "| fastText | 80.00 ± 0.00 | 80.00 ± 0.00 | 80.00 ± 0.00 |",
        "| SVM | 75.00 | 75.00 | 75.00 |",
        "| SRU | 60.00 ± 14.14 | 60.00 ± 14.14 | 60.00 ± 14.14 |",
        "| GRU | 60.00 ± 0.00 | 60.00 ± 0.00 | 60.00 ± 0.00 |",
        "| SRU + vectors | 90.00 ± 0.00 |  | 90.00 ± 0.00 (1 of 2 sets) |",
        "| SRU, training s | 10.0 | 10.0 | 10.0 |",
        "| GRU, training s | 30.0 | 30.0 | 30.0 |",
        "| SRU + vectors, training s | 10.0 |  | 10.0 (1 of 2 sets) |",
        "",
        "points on the mean: SRU - SVM -15.00, SRU - fastText -20.00, SRU - GRU +0.00; training time GRU / SRU 3.00",
        "points on the mean of drinks: SRU + vectors - SRU +30.00",
    ]
    assert len(err) == 16  # two seeds, two sets: fastText, SRU, GRU; the SVM; the vectors
    assert err[2] == "[3/16] SRU, drinks, seed 1: 50.00 %, 10.0 s"
    files = ("--train", f"{sets}/drinks/train.tsv", "--valid", f"{sets}/drinks/valid.tsv")
    assert trainings.calls[:2] == [
        ("train", *files, "--cell", "sru", "--set", "train.seed=1"),
        ("evaluate", f"{sets}/drinks/test.tsv", "--json"),
    ]
    assert ("train", *files, "--cell", "sru", "--set", "train.seed=2", "--vectors", str(vectors)) in trainings.calls
    assert len(trainings.caches) == len(trainings.calls) // 2 == 10


def test_shows_calibration_where_evaluate_has_it(call: Call, trainings: Trainings, sets: Path) -> None:
    trainings.more = {"calibration_error_uncalibrated": 0.081, "calibration_error": 0.02}
    lines, _ = call("--data", sets, "--sets", "drinks", "--seeds", 1, "--cells", "sru")
    assert "| SRU, ECE before calibration % | 8.10 | 8.10 |" in lines
    assert "| SRU, ECE % | 2.00 | 2.00 |" in lines


def test_goes_on_with_the_results_of_the_same_code_and_data(
    accuracy: ModuleType, call: Call, trainings: Trainings, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sets / "kept.json"
    arguments = ("--data", sets, "--sets", "drinks", "--json", path)
    call(*arguments, "--seeds", 1)
    first = json.loads(path.read_text())
    assert [(r["row"], r["set"], r["seed"]) for r in first["results"]] == [
        ("fastText", "drinks", 1),
        ("SVM", "drinks", None),
        ("SRU", "drinks", 1),
        ("GRU", "drinks", 1),
    ]
    made = len(trainings.calls)
    _, err = call(*arguments, "--seeds", 2)
    assert len(trainings.calls) == 2 * made  # the second seed alone
    again = json.loads(path.read_text())
    assert again["results"][:4] == first["results"]
    assert len(again["results"]) == 7
    assert sum(line.endswith("(made before)") for line in err) == 4

    train = sets / "drinks" / "train.tsv"
    train.write_text(train.read_text() + "tea\tone more\n")
    with pytest.raises(SystemExit, match=r"kept.json: made before the set drinks changed"):
        call(*arguments)
    monkeypatch.setattr(accuracy, "digest_code", lambda: "another")
    with pytest.raises(SystemExit, match=r"kept.json: made before textrnn's code changed; give --json another file"):
        call(*arguments)
    assert json.loads(path.read_text()) == again
    path.write_text("{}")
    with pytest.raises(SystemExit, match=r"kept.json: holds no results of this benchmark"):
        call(*arguments)


def test_keeps_nothing_that_was_made_while_the_code_changed(
    accuracy: ModuleType, call: Call, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = iter(("before", "before", "after"))
    monkeypatch.setattr(accuracy, "digest_code", lambda: next(digests))
    with pytest.raises(SystemExit, match="code changed during the run"):
        call("--data", sets, "--sets", "drinks", "--json", sets / "kept.json")
    assert [result["row"] for result in json.loads((sets / "kept.json").read_text())["results"]] == ["fastText"]


def test_digests_name_and_content(accuracy: ModuleType, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("x")
    two.write_text("x")
    before = accuracy.digest([one])
    assert accuracy.digest([two]) != before
    one.write_text("y")
    assert accuracy.digest([one]) != before


def test_chooses_on_valid(accuracy: ModuleType) -> None:
    baselines = importlib.import_module("baselines")  # it lies beside accuracy.py
    candidates = [baselines.Candidate(v, t, {"C": n}) for n, (v, t) in enumerate([(0.8, 0.9), (0.9, 0.7), (0.9, 0.8)])]
    chosen = baselines.choose(candidates)
    assert (chosen["valid"], chosen["accuracy"], chosen["settings"]) == (0.9, 0.8, {"C": 2})


def test_runs_the_installed_command(sets: Path) -> None:
    arguments = ["--data", sets, "--sets", "drinks", "--seeds", "1", "--cells", "sru", "--json", sets / "kept.json"]
    done = subprocess.run(
        [sys.executable, FOLDER / "accuracy.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "| SVM | 100.00 | 100.00 |" in done.stdout.splitlines()
    assert ("| fastText | " in done.stdout) == HAS_FASTTEXT
    assert ("fastText is left out" in done.stderr) != HAS_FASTTEXT
    result = json.loads((sets / "kept.json").read_text())["results"][-1]
    assert (result["row"], result["evaluation"]["texts"]) == ("SRU", 40)
    assert result["accuracy"] > 0.9  # tea or coffee
    assert f"| SRU | {100 * result['accuracy']:.2f} |" in done.stdout


def test_names_a_set_that_is_not_there(sets: Path) -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / "accuracy.py", "--data", sets, "--sets", "drinks,wines"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.endswith(f"{sets}/wines/train.tsv: no such file\n")
