"""``textrnn data errors``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import MULTI_LABEL, Run, list_loaded, small
from samples import write_rows, write_sets

HEADER = "file\tline\tlabel\tsuggested\tconfidence\tscore\ttext"


@pytest.fixture
def planted(tmp_path: Path) -> dict[str, int]:
    """Two files with a wrong label each: the file and the line of both."""
    write_rows(tmp_path / "rows.tsv", 80)
    lines = (tmp_path / "rows.tsv").read_text().splitlines(keepends=True)
    lines[6] = lines[6].replace("tea\t", "coffee\t", 1)
    lines[51] = lines[51].replace("coffee\t", "tea\t", 1)
    (tmp_path / "a.tsv").write_text("".join(lines[:30]))
    (tmp_path / "b.tsv").write_text("\n" + "".join(lines[30:]))
    return {"a.tsv": 7, "b.tsv": 23}


def test_planted_errors_are_listed_with_file_and_line(planted: dict[str, int], invoke: Run) -> None:
    done = invoke("data", "errors", "a.tsv", "b.tsv", "--folds", 4)
    assert done.returncode == 0, done.stderr.decode()
    header, *lines = done.stdout.decode().splitlines()
    assert header == HEADER
    rows = [line.split("\t") for line in lines]
    assert {row[0]: int(row[1]) for row in rows} == planted
    assert sorted((row[2], row[3]) for row in rows) == [("coffee", "tea"), ("tea", "coffee")]
    assert float(rows[0][5]) >= float(rows[1][5]) > 0.5
    assert done.stderr.decode().endswith("textrnn: 2 of 80 texts probably have another label (2.5 %)\n")


def test_limit_and_json_lines(planted: dict[str, int], tmp_path: Path, invoke: Run) -> None:
    words = ("data", "errors", "--train", "a.tsv", "--train", "b.tsv", "--limit", 1)
    done = invoke(*words, "-o", "e.jsonl")
    assert (done.returncode, done.stdout) == (0, b"")
    (entry,) = map(json.loads, (tmp_path / "e.jsonl").read_text().splitlines())
    assert list(entry) == HEADER.split("\t")
    assert planted[entry["file"]] == entry["line"]
    assert b"(2.5 %); the first 1 are listed" in done.stderr
    assert len(invoke(*words).stdout.splitlines()) == 2


def test_folds_of_an_experiment_are_reused(planted: dict[str, int], tmp_path: Path, invoke: Run) -> None:
    files = ("--train", "a.tsv", "--train", "b.tsv")
    trained = invoke("train", *files, *small(epochs=1), "--kfold", 2, "--out", "folds")
    assert trained.returncode == 0, trained.stderr.decode()
    done = invoke("data", "errors", "-m", "folds")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().startswith(HEADER)
    assert b"of 80 texts" in done.stderr
    assert "torch" not in list_loaded("data", "errors", "-m", "folds", cwd=tmp_path, stdin=b"")
    (tmp_path / "a.tsv").write_text("tea\tchanged\n")
    assert invoke("data", "errors", "-m", "folds").returncode == 1


def test_multi_label_experiments_are_refused(tmp_path: Path, invoke: Run) -> None:
    write_sets(tmp_path / "rows.tsv", 60)
    words = ("train", "--train", "rows.tsv", *small(epochs=1), *MULTI_LABEL, "--kfold", 2, "--out", "folds")
    assert invoke(*words).returncode == 0
    done = invoke("data", "errors", "-m", "folds")
    assert done.returncode == 1
    assert b"single-label" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "data errors: name the training set"),
        (("--train", "rows.tsv", "--set", "train.lr=1"), "--set train.lr=1: data errors takes data.format"),
        (("--train", "rows.tsv", "--set", "ngrams.penalty=-1"), "--set ngrams.penalty=-1: "),
        (("--train", "rows.tsv", "-m", "folds"), "-m folds: uses the data and folds of that experiment; leave out"),
        (("-m", "folds", "--folds", "3"), "-m folds: uses the data and folds of that experiment; leave out --folds"),
        (("rows.tsv", "-m", "folds"), "-m folds: uses the data and folds of that experiment; leave out rows.tsv"),
        (("rows.tsv", "--train", "rows.tsv"), "rows.tsv: given twice; name each file once"),
        (("--train", "rows.tsv", "--train", "rows.tsv"), "rows.tsv: given twice; name each file once"),
        (("--train", "-"), "data errors -: is a pipe, but every fold reads the data"),
    ],
)
def test_contradicting_options(words: tuple[str, ...], message: str, tmp_path: Path, invoke: Run) -> None:
    write_rows(tmp_path / "rows.tsv")
    done = invoke("data", "errors", *words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.decode().startswith(f"textrnn: {message}")
    assert len(done.stderr.splitlines()) == 1


def test_the_output_never_replaces_the_training_set(tmp_path: Path, invoke: Run) -> None:
    write_rows(tmp_path / "t.tsv")
    before = (tmp_path / "t.tsv").read_bytes()
    done = invoke("data", "errors", "--train", "t.tsv", "-o", "t.tsv", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, b"textrnn: --output t.tsv: is an input file; name another file\n")
    assert (tmp_path / "t.tsv").read_bytes() == before
