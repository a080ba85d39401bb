"""``textrnn evaluate``."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from command import Run
from textrnn.serialization.model_file import load_model


def test_unknown_labels_are_reported(trained: Path, invoke: Run) -> None:
    done = invoke("evaluate", "-", cwd=trained, stdin=b"tea\tgreen tea\nwater\tcold water\n")
    assert done.returncode == 0
    assert b"1 text has labels that the model does not know ('water')" in done.stderr
    assert b"textrnn: model: runs/small, the latest run here" in done.stderr
    assert "accuracy     50.00 %" in done.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--set model.hidden=3",
            "--set model.hidden=3: evaluate takes data.format, data.label_separator, data.label, ",
        ),
        ("--set data.label_separator=|", "--set data.label_separator=|: the model is single-label; leave it out"),
        ("--threshold 0.5", "--threshold 0.5: the model is single-label; leave it out"),
        ("--limit 3", "--limit 3: has no effect without --errors FILE"),
        ("--sort loss", "--sort loss: has no effect without --errors FILE"),
        ("--errors - --json", "--errors -: --json prints to stdout too; name a file"),
        ("--errors rows.tsv", "--errors rows.tsv: is an input file; name another file"),
        ("--errors .", "--errors .: is a folder; name a file"),
        ("--max-error 0.1 --at-precision 0.9", "--at-precision 0.9: give either this or --max-error"),
        ("--save-thresholds", "--save-thresholds: needs a goal; add --max-error E or --at-precision P"),
    ],
)
def test_faults(arguments: str, message: str, trained: Path, invoke: Run) -> None:
    done = invoke("evaluate", "rows.tsv", *arguments.split(), cwd=trained)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert done.stderr.decode().startswith(f"textrnn: {message}")


def test_errors_are_listed(trained: Path, invoke: Run, tmp_path: Path) -> None:
    swapped = tmp_path / "swapped.tsv"
    lines = [line.split("\t", 1) for line in (trained / "rows.tsv").read_text(encoding="utf-8").splitlines()[:40]]
    other = {"tea": "coffee", "coffee": "tea"}
    swapped.write_text("".join(f"{other[label]}\t{text}\n" for label, text in lines), encoding="utf-8")
    done = invoke("evaluate", swapped, "--errors", "-", cwd=trained)
    header, *rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert header == ["file", "line", "label", "predicted_label", "confidence", "text"]
    page = json.loads(invoke("evaluate", swapped, "--json", cwd=trained).stdout)
    assert len(rows) == page["texts"] - page["correct"] > 10
    assert f"{len(rows)} of 40 texts wrong" in done.stderr.decode()
    for file, line, label, predicted, _, text in rows:
        assert (file, other[label], text) == (str(swapped), *lines[int(line) - 1])
        assert predicted != label
    confidences = [float(row[4]) for row in rows]
    assert confidences == sorted(confidences, reverse=True)
    done = invoke("evaluate", swapped, "--errors", tmp_path / "wrong.jsonl.gz", "--limit", "3", cwd=trained)
    assert done.stdout.decode().startswith("texts        40\n")
    with gzip.open(tmp_path / "wrong.jsonl.gz", "rt", encoding="utf-8") as file:
        assert [json.loads(line)["line"] for line in file] == [int(row[1]) for row in rows[:3]]


def test_errors_of_a_multi_label_model_are_listed(trained_multi_label: Path, invoke: Run) -> None:
    done = invoke("evaluate", "test.tsv", "--errors", "-", cwd=trained_multi_label)
    page = json.loads(invoke("evaluate", "test.tsv", "--json", cwd=trained_multi_label).stdout)
    assert len(done.stdout.splitlines()) - 1 == page["texts"] - page["correct"]
    done = invoke("evaluate", "test.tsv", "--max-error", "0.1", cwd=trained_multi_label)
    assert done.returncode == 2
    assert done.stderr.decode() == "textrnn: --max-error 0.1: the model is multi-label; leave it out\n"


def test_saved_thresholds_make_predict_abstain(trained: Path, invoke: Run, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    shutil.copy(trained / "runs/small/model.safetensors", model)
    done = invoke("evaluate", "-m", model, "rows.tsv", "--max-error", "0.2", "--save-thresholds", "--json", cwd=trained)
    assert done.returncode == 0, done.stderr.decode()
    (guarantee,) = json.loads(done.stdout)["thresholds"]
    assert guarantee["covered"] > 0
    text = b"tea\nthe parcel is late\n\n"
    plain = invoke("predict", "-m", model, "--min-prob", "0", cwd=trained, stdin=text).stdout.decode().splitlines()
    shown = invoke("predict", "-m", model, cwd=trained, stdin=text).stdout.decode().splitlines()
    for before, after in zip(plain, shown, strict=True):
        label, probability = before.split("\t")
        expected = label if float(probability) >= guarantee["threshold"] else "unknown"
        assert after == f"{expected}\t{probability}"
    kept = invoke("filter", "-m", model, "--label", "unknown", cwd=trained, stdin=text)
    lines = [line for line, label in zip(text.splitlines(), shown, strict=True) if label.startswith("unknown")]
    assert kept.stdout.splitlines() == lines
    ignoring = ("-m", model, "--ignore-thresholds")
    assert invoke("predict", *ignoring, cwd=trained, stdin=text).stdout.decode().splitlines() == plain
    assert invoke("filter", *ignoring, "-l", "tea", "-l", "coffee", cwd=trained, stdin=text).stdout == text
    done = invoke("filter", *ignoring, "-l", "unknown", cwd=trained, stdin=text)
    assert done.stderr.decode() == "textrnn: --label unknown: the model has no such label; it has coffee, tea\n"
    assert load_model(model).confidence_max_error == 0.2
    before_bytes = model.read_bytes()
    done = invoke("evaluate", "-m", model, "rows.tsv", "--max-error", "0.0001", "--save-thresholds", cwd=trained)
    assert done.returncode == 1
    assert "nothing saved: no confidence guarantees at most 0.01 % errors" in done.stderr.decode()
    assert model.read_bytes() == before_bytes
    done = invoke("evaluate", "-m", model, "rows.tsv", "--clear-thresholds", cwd=trained)
    assert done.stderr.decode() == f"textrnn: {model}: predict prints every label again\n"
    assert model.read_bytes() == (trained / "runs/small/model.safetensors").read_bytes()
    done = invoke("evaluate", "-m", model, "rows.tsv", "--clear-thresholds", cwd=trained)
    assert (done.returncode, done.stderr.decode()) == (
        2,
        f"textrnn: --clear-thresholds: {model} has none; leave it out\n",
    )


def test_a_list_of_errors_leaves_the_threshold_to_stderr(trained: Path, invoke: Run) -> None:
    done = invoke("evaluate", "rows.tsv", "--errors", "-", "--max-error", "0.2", cwd=trained)
    assert b"textrnn: threshold    0." in done.stderr
    assert done.stdout.startswith(b"file\tline\t")


@pytest.mark.parametrize("command", ["evaluate --errors", "report -o", "compare --differences"])
def test_no_output_replaces_a_model(command: str, trained: Path, invoke: Run, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    shutil.copy(trained / "runs/small/model.safetensors", model)
    name, option = command.split()
    runs = [model, trained / "runs/small"] if name == "compare" else ["-m", model]
    done = invoke(name, *runs, "rows.tsv", option, model, cwd=trained)
    assert done.returncode == 2
    assert "is an input file; name another file" in done.stderr.decode()
    assert model.read_bytes() == (trained / "runs/small/model.safetensors").read_bytes()
