"""The benchmarks start, and those of whole commands run on forty texts."""

from __future__ import annotations

import importlib.util
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import joblib
import pytest
import torch

from samples import write_rows

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
HAS_FASTTEXT = importlib.util.find_spec("fasttext") is not None
SCRIPTS = (
    "accuracy",
    "api",
    "busy",
    "cascade",
    "cluster",
    "cnn",
    "data",
    "distill",
    "few_labels",
    "gpu",
    "gpu_kernels",
    "gpu_training",
    "job",
    "label_errors",
    "labelling",
    "long_texts",
    "many_classes",
    "memory",
    "parquet",
    "predict",
    "report",
    "serve",
    "sru_layer",
    "training",
)

sys.path.insert(0, str(FOLDER))

import accuracy  # noqa: E402
import baselines  # noqa: E402
import bounds  # noqa: E402
import cnn  # noqa: E402
import distill  # noqa: E402
import predict  # noqa: E402
import process  # noqa: E402
import process_tree  # noqa: E402

sys.path.remove(str(FOLDER))


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """A folder with the data set mr, forty texts per part."""
    (tmp_path / "mr").mkdir()
    for part in ("train", "valid", "test"):
        write_rows(tmp_path / "mr" / f"{part}.tsv")
    return tmp_path


def run_script(name: str, *arguments: object, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TEXTRNN_TEST_DATA": str(data or ""), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FOLDER / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_starts(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.syspath_prepend(FOLDER)
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")


def test_accuracy_resumes_with_the_same_data_only(sets: Path) -> None:
    arguments = ("--seeds", 1, "--cells", "sru", "--json", sets / "results.json")
    done = run_script("accuracy", *arguments, data=sets)
    assert done.returncode == 0, done.stderr
    results = json.loads((sets / "results.json").read_text(encoding="utf-8"))["results"]
    names = ["fastText", "SVM", "SRU"] if HAS_FASTTEXT else ["SVM", "SRU"]
    assert [result["row"] for result in results] == names
    assert all(result["accuracy"] > 0.9 for result in results)
    assert f"| SRU | {100 * results[-1]['accuracy']:.2f} |" in done.stdout

    again = run_script("accuracy", *arguments, data=sets)
    assert again.stdout == done.stdout
    assert again.stderr.count("(stored)") == len(names)
    with (sets / "mr" / "train.tsv").open("a", encoding="utf-8") as file:
        file.write("tea\tone more\n")
    assert "the set mr has changed" in run_script("accuracy", *arguments, data=sets).stderr


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{}", "not a file of this benchmark"),
        ('{"made_of": {"textrnn\'s code": "other"}, "results": []}', "textrnn's code has changed"),
    ],
)
def test_results_of_other_code_are_refused(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=reason):
        accuracy.Record(tmp_path / "results.json", {"textrnn's code": "this"})


def test_a_result_of_code_that_changed_meanwhile_is_discarded() -> None:
    record = accuracy.Record(None, {"textrnn's code": "before the change"})
    with pytest.raises(SystemExit, match="discarded"):
        accuracy.fill(record, {"SRU": lambda *_: {"accuracy": 1.0, "seconds": 1.0}}, [("SRU", Path("mr"), 1)])
    assert not record.results


@pytest.mark.parametrize(
    ("value", "minimum", "verdict"),
    [(2.0, False, "yes"), (2.1, False, "NO"), (2.0, True, "yes"), (1.9, True, "NO"), (None, True, "not measured")],
)
def test_a_target_has_a_verdict(value: float | None, minimum: bool, verdict: str) -> None:
    assert bounds.Target("seconds", value, 2, minimum=minimum).row.endswith(f"| {verdict} |")


def test_predictions_are_compared_by_label_and_probability() -> None:
    ours, theirs = [{"a": 0.7, "b": 0.3}, {"b": 0.6, "a": 0.4}], [{"a": 0.6, "b": 0.4}, {"a": 0.5, "b": 0.5}]
    result = predict.compare(theirs, ours)
    assert result["agreement"] == 0.5
    assert result["largest change"] == pytest.approx(0.1)


def test_predict_measures_every_process(sets: Path, trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    done = run_script("predict", "--model", trained / "runs/small", "--repeats", 1, "--json", path, data=sets)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text(encoding="utf-8"))
    assert figures["lines"] == 240
    assert figures["models"]["textrnn"]["accuracy"] == 1.0
    assert {"textrnn, one", "SVM, many", "--help", "products of the floor"} <= figures["turns"].keys()
    assert ("fastText, many" in figures["turns"]) == HAS_FASTTEXT
    assert all(turn["seconds"] > 0 for turns in figures["turns"].values() for turn in turns)


def test_median_ratio_is_taken_within_a_turn() -> None:
    assert bounds.median_ratio([10, 12], [2, 3]) == 4.5
    assert bounds.median_ratio([10, 12], []) is None


def test_the_convolutional_network_learns(sets: Path) -> None:
    result = cnn.train(sets / "mr", 1, epochs=3)
    assert (result["accuracy"], result["valid"]) == (1.0, 1.0)
    rows = cnn.tabulate([{"row": "CNN", "set": "mr", "seed": 1, **result}], ["mr"])
    assert rows[2] == "| CNN | 100.00 | 100.00 |"


def test_word_vectors_start_the_table_of_the_convolutional_network(sets: Path) -> None:
    parts = baselines.read_parts(sets / "mr")
    word, absent = parts["train"][0].text.split()[0], "absent"
    vectors = {word: torch.ones(4), absent: torch.zeros(4)}
    numbers, table = cnn.make_table(parts, vectors)
    assert table.shape == (len(numbers) + 1, 4)
    assert table[numbers[word]].tolist() == [1] * 4
    assert table[cnn.PADDING].tolist() == [0] * 4
    assert absent not in numbers


def test_baselines_are_chosen_on_validation_with_ties_in_their_favor() -> None:
    candidates = [baselines.Candidate(v, t, {"C": n}) for n, (v, t) in enumerate([(0.8, 0.9), (0.9, 0.7), (0.9, 0.8)])]
    assert baselines.choose(candidates).settings == {"C": 2}


def test_peer_labels_every_line(sets: Path) -> None:
    joblib.dump(baselines.choose(baselines.train_svm(sets / "mr")).model, sets / "svm.joblib")
    command = [sys.executable, str(FOLDER / "peer.py"), "sklearn", str(sets / "svm.joblib")]
    stdin = "green tea\nblack coffee\r with milk\n\u2028black coffee\ngreen tea".encode()
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split("\n")[:-1] == ["tea", "coffee", "coffee", "tea"]
    assert json.loads(done.stderr.splitlines()[-1])["import_seconds"] > 0


def test_peak_memory_excludes_the_parent_process() -> None:
    held = b"x" * 300_000_000  # a forked process would inherit this as its peak
    small, large = (
        process.measure([sys.executable, "-S", "-c", f"x = b'x' * {size}"]).peak for size in (1, 100_000_000)
    )
    assert small < 100_000_000 < large < 200_000_000 < len(held)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processor_time_includes_children_of_children() -> None:
    work = "import time\nwhile time.process_time() < 0.6: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {work!r}, 'the worker'], check=True)"
    with process_tree.watch_processes() as tree:
        subprocess.run([sys.executable, "-S", "-c", code], check=True)
    assert tree.seconds > 0.2  # the last look is at most 0.2 s before the end
    assert tree.peak("the worker") > 1_000_000
    assert tree.peak("nobody") == 0


def test_failed_process_ends_the_benchmark_with_its_message() -> None:
    code = "import sys; print('no such model', file=sys.stderr); sys.exit(3)"
    with pytest.raises(SystemExit, match=r"(?s)no such model.*status 3"):
        process.measure([sys.executable, "-c", code])


def test_arguments_of_distill_may_have_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[distill.Bench] = []

    def compare(bench: distill.Bench, _: object) -> list[list[float]]:
        found.append(bench)
        return [[1.0]]

    monkeypatch.setitem(distill.EXPERIMENTS, "self", (compare, ("accuracy",)))
    folder = tmp_path / "my data"
    monkeypatch.setattr(sys, "argv", ["distill", "self", str(folder), "--", "--set", "data.label=my label"])
    distill.main()
    monkeypatch.setattr(sys, "argv", ["distill", "self", str(folder)])
    distill.main()
    assert [(bench.data, list(bench.options)) for bench in found] == [
        (folder.resolve(), ["--set", "data.label=my label"]),
        (folder.resolve(), []),
    ]


def test_cascade_compares_with_the_whole_model(trained: Path) -> None:
    pair = f"{trained / 'runs/small'}={trained / 'rows.tsv'}"
    done = run_script("cascade", pair, "--agreements", 0.01, 0.999, "--repeats", 1)
    assert done.returncode == 0, done.stderr
    whole, low, high = ([cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:])
    assert [row[0] for row in (whole, low, high)] == ["small, whole model", "small, 0.01", "small, 0.999"]
    assert (whole[1:3], whole[5]) == (["0.0", "100.00"], "1.00")
    assert 0 < float(low[1]) < 100
    assert high[1] == "not supported"
