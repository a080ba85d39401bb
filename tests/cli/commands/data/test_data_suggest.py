"""``textrnn data suggest``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import Run, list_loaded

HEADER = "line\tlabel\tconfidence\tmargin\ttext"
RAW = "green tea with lemon now 4\n\ngreen coffee\tplease\nblack coffee with milk today 7\na text on neither\n"


@pytest.fixture
def raw(trained: Path) -> Path:
    """Lines without labels, beside a trained model."""
    (trained / "raw.txt").write_text(RAW, encoding="utf-8")
    return trained


def test_uncertain_lines_come_with_their_number_and_prediction(raw: Path, invoke: Run) -> None:
    done = invoke("data", "suggest", "-m", "runs/small", "raw.txt", "--count", 2, cwd=raw)
    assert done.returncode == 0, done.stderr.decode()
    header, *lines = done.stdout.decode().splitlines()
    assert header == HEADER
    rows = [line.split("\t") for line in lines]
    assert {row[0]: row[4] for row in rows} == {"3": "green coffee please", "5": "a text on neither"}
    assert float(rows[0][3]) <= float(rows[1][3])
    assert done.stderr == b"textrnn: 2 of 4 texts chosen\n"
    predicted = invoke("predict", "-m", "runs/small", "raw.txt", cwd=raw).stdout.decode().splitlines()
    for number, label, confidence, _, _ in rows:
        expected, probability = predicted[int(number) - 1].split("\t")
        assert (label, float(confidence)) == (expected, pytest.approx(float(probability), abs=1e-3))


def test_known_texts_are_passed_over_and_a_file_is_written(raw: Path, invoke: Run) -> None:
    (raw / "known.tsv").write_text("tea\tA text on neither!\ntea\tgreen tea, with lemon now 4\n")
    done = invoke("data", "suggest", "-", "--known", "known.tsv", "-o", "next.tsv", cwd=raw, stdin=RAW.encode())
    assert (done.returncode, done.stdout) == (0, b"")
    lines = (raw / "next.tsv").read_text().splitlines()
    assert lines[0] == HEADER
    assert sorted(line.split("\t")[0] for line in lines[1:]) == ["3", "4"]
    assert done.stderr.decode().splitlines() == [
        "textrnn: model: runs/small, the latest run here",
        "textrnn: 2 of 4 texts chosen; there are no more that differ enough",
    ]


def test_a_column_of_a_table_is_read(raw: Path, invoke: Run) -> None:
    (raw / "t.csv").write_text('id,text\n1,"green coffee"\n2,a text on neither\n')
    done = invoke("data", "suggest", "-m", "runs/small", "--field", "text", "t.csv", cwd=raw)
    lines = done.stdout.decode().splitlines()[1:]
    assert sorted(line.split("\t")[::4] for line in lines) == [["2", "green coffee"], ["3", "a text on neither"]]


def test_torch_is_not_loaded(raw: Path) -> None:
    loaded = list_loaded("data", "suggest", "-m", "runs/small", "raw.txt", cwd=raw, stdin=b"")
    assert "torch" not in loaded


def test_multi_label_models_are_refused(trained_multi_label: Path, invoke: Run) -> None:
    done = invoke("data", "suggest", "-m", "runs/small", "test.tsv", cwd=trained_multi_label)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("textrnn: runs/small: the model is multi-label")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("raw.txt", "--known", "raw.txt"), "--known raw.txt: given twice"),
        (("gone.txt",), "gone.txt: no such file"),
        (("raw.txt", "--input-format", "csv"), "--input-format csv: for tables only"),
        (("raw.txt", "--count", "0"), "invalid value for '--count'"),
    ],
)
def test_faults(words: tuple[str, ...], message: str, raw: Path, invoke: Run) -> None:
    done = invoke("data", "suggest", "-m", "runs/small", *words, cwd=raw)
    assert done.returncode in (1, 2)
    assert done.stdout == b""
    assert done.stderr.decode().startswith(f"textrnn: {message}")


def test_no_texts_are_an_error(trained: Path, invoke: Run) -> None:
    done = invoke("data", "suggest", "-", cwd=trained, stdin=b"\n \n")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().endswith("standard input: has no text to label\n")


def test_the_extension_is_the_format(trained: Path, invoke: Run, tmp_path: Path) -> None:
    done = invoke("data", "suggest", "-", "-o", tmp_path / "next.jsonl", cwd=trained, stdin=b"green coffee\n")
    assert done.returncode == 0
    assert json.loads((tmp_path / "next.jsonl").read_text(encoding="utf-8"))["text"] == "green coffee"
