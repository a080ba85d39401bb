"""``textrnn distill``: a student of a teacher, and of answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import Run, small
from samples import write_rows
from textrnn.config import DataConfig, load_config
from textrnn.data.reading.examples import read_examples

SMALL = small(epochs=2)
RAW = "".join(f"{('green tea', 'black coffee')[number % 2]} for table {number}\n" for number in range(30))


def test_a_student_learns_from_raw_text(trained: Path, tmp_path: Path, invoke: Run) -> None:
    write_rows(tmp_path / "rows.tsv")
    arguments = ("distill", "-m", trained / "runs/small", "-", "--out", "runs/student", *SMALL)
    done = invoke(*arguments, "--set", "train.max_steps=12", stdin=RAW.encode() + b"green tea with lemon now 1\n\n")
    messages = done.stderr.decode()
    assert (done.returncode, done.stdout) == (0, b"runs/student\n"), messages
    assert f"31 raw texts labelled by {trained}/runs/small, added to 36 labelled rows" in messages
    assert "targets: temperature " in messages
    first = load_config(tmp_path / "runs/student/config.yaml").data
    rows = read_examples(str(tmp_path / str(first.train)), DataConfig())
    assert len(rows) == 36 + 31
    assert all(row.label == ("tea" if "tea" in row.text else "coffee") for row in rows)
    assert rows[40].distribution
    assert Path(str(first.train)).parent == Path(str(first.valid)).parent
    assert first.format == "auto"
    assert invoke("predict", "-m", "runs/student", "--format", "label", stdin=b"green tea\n").stdout == b"tea\n"
    # the rows of a second student stand beside those of the first, which move with its other files
    again = invoke(*arguments, "--temperature", "2", "--true-share", "1", stdin=RAW.encode())
    assert "targets:" not in again.stderr.decode()
    assert (tmp_path / "runs/student.1/model.safetensors").exists()
    second = load_config(tmp_path / "runs/student/config.yaml").data
    assert second.train != first.train
    assert len(read_examples(str(tmp_path / str(second.train)), DataConfig())) == 36 + 30
    moved = str(first.train).replace("student/", "student.1/")
    assert len(read_examples(str(tmp_path / moved), DataConfig())) == 36 + 31
    assert not list((tmp_path / "runs/student").glob(".distilled*"))
    assert json.loads((tmp_path / "runs/student/metrics.jsonl").read_text().splitlines()[0])["epoch"] == 1


def test_a_student_learns_from_answers(tmp_path: Path, invoke: Run) -> None:
    write_rows(tmp_path / "few.tsv", 12)
    write_rows(tmp_path / "valid.tsv", 20)
    (tmp_path / "raw.txt").write_text(RAW)
    lines = ['{"tea": 0.9, "coffee": 0.1}', "coffee", ""]
    (tmp_path / "answers.jsonl").write_text("".join(lines[min(number, number % 3)] + "\n" for number in range(30)))
    files = ("raw.txt", "--train", "few.tsv", "--valid", "valid.tsv", "--out", "runs/student")
    done = invoke("distill", "--answers", "answers.jsonl", *files, *SMALL)
    messages = done.stderr.decode()
    assert (done.returncode, done.stdout) == (0, b"runs/student\n"), messages
    assert "answers.jsonl: 10 lines have no answer; left out" in messages
    assert "20 raw texts labelled by answers.jsonl, added to 12 labelled rows" in messages
    rows = read_examples(str(next((tmp_path / "runs/student").glob("distilled-*/train.jsonl.zst"))), DataConfig())
    assert [row.distribution is None for row in rows[:12]] == [True] * 12  # true labels
    assert rows[12].distribution is not None
    assert len(rows) == 32


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("raw.txt -m MODEL", 2, "distill: name the run folder of the student with --out FOLDER"),
        ("raw.txt -m MODEL --answers a.txt --out s", 2, "--answers a.txt: takes the place of a teacher; leave out -m"),
        ("raw.txt --answers a.txt --true-share 0.5 --out s", 2, "--true-share 0.5: needs a teacher"),
        ("raw.txt --answers a.txt --out s", 2, "--answers: needs labelled rows for validation; name them with --train"),
        ("raw.txt --answers a.txt --train rows.tsv --out s", 1, "a.txt:2: is missing: the raw text has 2 lines"),
        ("raw.txt --answers bad.txt --train rows.tsv --out s", 1, "bad.txt:1: label 'wine' is not in the labelled"),
        ("empty.txt -m MODEL --train rows.tsv --out s", 1, "empty.txt: has no text to learn from"),
        ("gone.txt -m MODEL --out s", 1, "gone.txt: no such file"),
        ("raw.txt -m gone --out s", 1, "gone: no such model file or run folder"),
        ("raw.txt -m MODEL --train wine.tsv --out s", 1, "MODEL: lacks the label 'wine' of wine.tsv"),
        ("raw.txt -m MODEL --out .", 2, "--out .: contains "),
        ("raw.txt -m MODEL --out s --set data.weight=w", 2, "--set data.weight=w: the rows of a student have no"),
        ("raw.txt -m MODEL --out s --set model.hiden=3", 2, "--set model.hiden=3: "),
        ("- -m MODEL --answers - --out s", 2, "--answers -: takes the place"),
    ],
)  # fmt: skip
def test_faults_are_one_line_before_any_training(
    arguments: str, status: int, message: str, trained: Path, tmp_path: Path, invoke: Run
) -> None:
    write_rows(tmp_path / "rows.tsv")
    files = {"raw.txt": "tea\ncoffee\n", "empty.txt": "\n \n", "a.txt": "tea\n", "bad.txt": "wine\ntea\n"}
    for name, content in {**files, "wine.tsv": "".join(f"wine\tred {n}\ntea\tgreen {n}\n" for n in range(9))}.items():
        (tmp_path / name).write_text(content)
    model = str(trained / "runs/small")
    done = invoke("distill", *arguments.replace("MODEL", model).split())
    last = done.stderr.decode().splitlines()[-1]
    assert (done.returncode, done.stdout) == (status, b""), done.stderr.decode()
    assert last.startswith(f"textrnn: {message.replace('MODEL', model)}")
    assert not (tmp_path / "s" / "model.safetensors").exists()


def test_a_student_does_not_take_the_place_of_its_teacher(trained: Path, invoke: Run) -> None:
    done = invoke("distill", "-m", trained / "runs/small", "raw.txt", "--out", trained / "runs/small", "--overwrite")
    assert done.returncode == 1  # there is no raw text yet
    (trained / "raw.txt").write_text(RAW)
    done = invoke("distill", "-m", "runs/small", "raw.txt", "--out", "runs/../runs/small", "--overwrite", cwd=trained)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--out runs/../runs/small: holds the teacher runs/small; name another folder" in done.stderr
    assert (trained / "runs/small/model.safetensors").exists()


def test_a_table_without_a_column_is_pointed_out(trained: Path, tmp_path: Path, invoke: Run) -> None:
    (tmp_path / "raw.csv").write_text(f"id,text\n1,{RAW}")
    done = invoke("distill", "-m", trained / "runs/small", "raw.csv", "--init", trained, "--fast", "--out", "s")
    assert done.returncode == 2  # before any text is read
    assert b"--fast: the model of --init " in done.stderr
    write_rows(tmp_path / "rows.tsv")
    arguments = ("-m", trained / "runs/small", "raw.csv", "--train", "rows.tsv", "--out", "s", *SMALL)
    done = invoke("distill", *arguments, "--set", "train.max_steps=2")
    assert b"raw.csv: learns whole lines; use --field to name the column" in done.stderr
