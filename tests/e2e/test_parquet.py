"""Commands that read and write Parquet and Arrow."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path

import pyarrow as pa
import pytest

import textrnn
from arrow_tables import read_table, write_table
from command import Run, list_loaded

MODEL = "runs/small"


@pytest.fixture
def table(trained: Path) -> pa.Table:
    """The rows of the training set, with a number for each."""
    pairs = [line.split("\t", 1) for line in (trained / "rows.tsv").read_text().splitlines()]
    return pa.table({"id": range(len(pairs)), "label": [pair[0] for pair in pairs], "text": [p[1] for p in pairs]})


@pytest.fixture
def path(table: pa.Table, tmp_path: Path) -> Path:
    return write_table(tmp_path / "rows.parquet", table)


def test_evaluate_and_data_commands_read_rows_as_lines(path: Path, trained: Path, invoke: Run, tmp_path: Path) -> None:
    for command in (("evaluate", "-m", MODEL, "--json"), ("data", "suggest", "-m", MODEL)):
        tsv, found = (invoke(*command, file, cwd=trained) for file in ("rows.tsv", path))
        if command[0] == "evaluate":
            assert (found.returncode, found.stdout) == (tsv.returncode, tsv.stdout), found.stderr.decode()
        else:
            assert found.returncode == 0, found.stderr.decode()
    done = invoke("data", "check", path, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["files"][0]["texts"] == 40
    done = invoke("data", "split", path, "--out", tmp_path / "parts")
    parts = [read_table(Path(line)) for line in done.stdout.decode().splitlines()]
    assert sorted(number for part in parts for number in part["id"].to_pylist()) == list(range(40))
    assert parts[0].schema.names == ["id", "label", "text"]


def test_predict_prints_records_and_writes_columns(path: Path, trained: Path, invoke: Run, tmp_path: Path) -> None:
    done = invoke("predict", "-m", MODEL, path, cwd=trained)
    lines = list(map(json.loads, done.stdout.decode().splitlines()))
    assert list(lines[0]) == ["predicted_label", "predicted_probability", "id", "label", "text"]
    for name in ("out.parquet", "out.arrow", "out.feather"):
        done = invoke("predict", "-m", MODEL, path, "-o", tmp_path / name, cwd=trained)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        written = read_table(tmp_path / name)
        assert written.schema.names == ["id", "label", "text", "predicted_label", "predicted_probability"]
        assert written["predicted_label"].to_pylist() == [line["predicted_label"] for line in lines]


def test_pipes_give_streams(table: pa.Table, trained: Path, invoke: Run, tmp_path: Path) -> None:
    path = write_table(tmp_path / "stream.arrow", table)
    stream = path.read_bytes()
    for command in (("predict",), ("evaluate", "-"), ("data", "check", "-")):
        model = () if command[0] == "data" else ("-m", MODEL)
        done = invoke(*command, *model, cwd=trained, stdin=stream)
        assert done.returncode == 0, done.stderr.decode()
    out = tmp_path / "x.parquet"
    done = invoke("predict", "-m", MODEL, "-", "-o", out, cwd=trained, stdin=stream)
    assert b"x.parquet: the input is standard input or a pipe, and its rows are read twice" in done.stderr
    assert (done.returncode, out.exists()) == (1, False)
    bad = pa.table({"text": ["a", None], "label": ["x", "y"]})
    stream = write_table(tmp_path / "stream.arrow", bad).read_bytes()
    assert b"standard input: row 2: 'text' is null" in invoke("predict", "-m", MODEL, cwd=trained, stdin=stream).stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_keeps_its_head(table: pa.Table, trained: Path, invoke: Run, tmp_path: Path) -> None:
    stream = write_table(tmp_path / "stream.arrow", table).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(stream,))
    writer.start()
    done = invoke("predict", "-m", MODEL, tmp_path / "pipe", cwd=trained)
    writer.join()
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 40), done.stderr.decode()


def test_top_k_is_a_list(path: Path, trained: Path, invoke: Run, tmp_path: Path) -> None:
    assert invoke("predict", "-m", MODEL, "--top-k", 2, path, "-o", tmp_path / "x.parquet", cwd=trained).returncode == 0
    row = read_table(tmp_path / "x.parquet").to_pylist()[0]
    assert row["predicted_top"][0] == {"label": row["predicted_label"], "probability": row["predicted_probability"]}
    assert len(row["predicted_top"]) == 2


def test_filter_and_embed_keep_columns(path: Path, table: pa.Table, trained: Path, invoke: Run, tmp_path: Path) -> None:
    kept, rest = tmp_path / "kept.parquet", tmp_path / "rest.arrow"
    label = table["label"][0].as_py()
    done = invoke("filter", "-m", MODEL, "-l", label, path, "-o", kept, "--rejected", rest, cwd=trained)
    assert done.returncode == 0, done.stderr.decode()
    numbers = [read_table(file)["id"].to_pylist() for file in (kept, rest)]
    assert sorted(numbers[0] + numbers[1]) == list(range(40))
    found = invoke("filter", "-m", MODEL, "-l", label, path, cwd=trained).stdout.decode().splitlines()
    assert [json.loads(line)["id"] for line in found] == numbers[0]
    assert invoke("embed", "-m", MODEL, path, "-o", tmp_path / "v.parquet", cwd=trained).returncode == 0
    vectors = read_table(tmp_path / "v.parquet")
    assert vectors.schema.names == ["id", "label", "text", "embedding"]
    assert pa.types.is_fixed_size_list(vectors.schema.field("embedding").type)


def test_bad_rows_stop_or_are_skipped(trained: Path, invoke: Run, tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.parquet", pa.table({"text": ["a", None, "b"], "id": [0, 1, 2]}))
    out, rejects = tmp_path / "out.parquet", tmp_path / "bad.jsonl"
    done = invoke("predict", "-m", MODEL, path, "-o", out, cwd=trained)
    assert done.returncode == 1
    assert b"a.parquet: row 2: 'text' is null" in done.stderr
    assert not list(tmp_path.glob("*out*"))
    arguments = ("--on-error", "skip", "--rejects", rejects)
    assert invoke("predict", "-m", MODEL, path, "-o", out, *arguments, cwd=trained).returncode == 0
    assert read_table(out)["id"].to_pylist() == [0, 2]
    assert json.loads(rejects.read_bytes()) == {"text": None, "id": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("predict rows.parquet -f body", "rows.parquet: no column 'body'; the columns are id, label, text;"),
        ("predict rows.parquet --with-text", "--with-text: the whole row is printed anyway; leave it out"),
        ("predict rows.parquet --format jsonl", "--format jsonl: of Parquet and Arrow, records keep their format"),
        ("predict rows.parquet -o x.parquet --explain", "--explain: no effect on the columns of x.parquet"),
        ("predict x.txt -o x.parquet.gz", "--output x.parquet.gz: Parquet and Arrow are already compressed; drop .gz"),
        ("predict rows.parquet x.txt -o x.parquet", "x.txt: is text, but rows.parquet has rows; process them one by"),
        ("predict parts -o parts/sub/x.parquet", "--output parts/sub/x.parquet: is in the input folder"),
        ("predict parts -o parts/x.parquet", "--output parts/x.parquet: is in the input folder; name a file elsewhere"),
        ("predict rows.parquet --input-format csv", "--input-format: no effect on rows.parquet"),
        (
            "predict x.parquet.gz",
            "x.parquet.gz: a Parquet file, not text; unpack it; Parquet and Arrow are already compressed",
        ),
        ("embed rows.parquet --neighbors 2 -o x.parquet", "--output x.parquet: neighbors are text; name another file"),
        ("predict rows.parquet --on-error skip --rejects x.parquet", "--rejects x.parquet: bad records are lines;"),
    ],
)
def test_faults(arguments: str, message: str, path: Path, trained: Path, invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "part-0.parquet").write_bytes(path.read_bytes())
    (tmp_path / "x.parquet.gz").write_bytes(gzip.compress(path.read_bytes()))
    done = invoke(*arguments.split(), "-m", trained / MODEL)
    assert done.returncode in (1, 2)
    assert message in done.stderr.decode()


def test_train_takes_a_file(path: Path, invoke: Run) -> None:
    model = textrnn.train(str(path), train__epochs=1, model__hidden=8, tokenizer__vocab_size=80, train__report=False)
    assert len(model.evaluate(str(path)).labels) == len(model.labels)


def test_text_needs_no_pyarrow(trained: Path) -> None:
    loaded = list_loaded("predict", cwd=trained, stdin=b"green tea\n")
    assert not [name for name in loaded if name.startswith("pyarrow")]


def test_rows_are_not_written_as_a_table_of_text(path: Path, trained: Path, invoke: Run, tmp_path: Path) -> None:
    done = invoke("predict", "-m", MODEL, path, "-o", tmp_path / "x.csv", cwd=trained)
    assert (done.returncode, (tmp_path / "x.csv").exists()) == (2, False)
    assert b"x.csv: rows of Parquet and Arrow are written as such, or as JSON Lines" in done.stderr
