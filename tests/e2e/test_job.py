"""Training, evaluation and prediction together, through the installed command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from command import Run, run_command, small
from samples import ODD_LINES, write_rows
from textrnn.serialization.model_file import load_model


def labels_of(output: bytes) -> list[str]:
    return [line.split("\t")[0] for line in output.decode().split("\n")[:-1]]


def test_training_gives_a_run_and_predicting_uses_it(trained: Path) -> None:
    run = trained / "runs" / "small"
    names = {"model.safetensors", "config.yaml", "metrics.jsonl", "command.txt", "report.html"}
    assert {path.name for path in run.iterdir()} == names
    assert (trained / "runs" / "latest").read_text() == "runs/small\n"
    assert (run / "command.txt").read_text().startswith("textrnn train --train rows.tsv --out runs/small ")
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    assert records[-1]["loss"] < records[0]["loss"]
    done = run_command("predict", cwd=trained, stdin=b"green tea with lemon\nblack coffee with milk\n")
    assert labels_of(done.stdout) == ["tea", "coffee"]
    assert done.stderr == b""


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
def test_the_same_command_gives_the_same_bytes(cell: str, textrnn: Run, invoke: Run, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv")
    arguments = ("train", "--train", "rows.tsv", "--cell", cell, *small(epochs=2))
    first = textrnn(*arguments)
    assert first.returncode == 0, first.stderr.decode()
    folder = tmp_path / "runs" / f"rows-{cell}"
    assert first.stdout.decode() == f"runs/rows-{cell}\n"
    second = invoke(*arguments)
    assert f"runs/rows-{cell}.1".encode() in second.stderr
    kept = folder.with_name(f"{folder.name}.1")
    assert (kept / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    # the resolved config trains the same model again
    third = invoke("train", folder / "config.yaml", "--out", "again", "--overwrite")
    assert third.returncode == 0, third.stderr.decode()
    assert (tmp_path / "again/model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", 'label,text\ntea,"green, tea"\ncoffee,"black\ncoffee"\ntea,more tea\ncoffee,more\n'),
        ("rows.jsonl", "".join(f'{{"label": "{x}", "text": "{x} now"}}\n' for x in ["tea", "coffee"] * 2)),
        ("rows.txt", "".join(f"__label__{x} {x} now\n" for x in ["tea", "coffee"] * 2)),
        ("rows", "".join(f"{x}\t{x} now\n" for x in ["tea", "coffee"] * 2)),
    ],
)
def test_every_format_trains_and_evaluates(name: str, content: str, invoke: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    done = invoke("train", "--train", name, "--valid", name, *small(epochs=1))
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(invoke("evaluate", name, "--json").stdout)
    assert (found["texts"], sorted(c["label"] for c in found["classes"])) == (4, ["coffee", "tea"])


def test_a_pipe_and_a_file_train_the_same_model(textrnn: Run, invoke: Run, tmp_path: Path, cache_folder: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv", 80)
    arguments = (*small(epochs=1), "--set", "train.batch_size=null", "--set", "train.batch_tokens=64")
    arguments = tuple(argument for argument in arguments if argument not in ("--batch-size", "4"))
    cached = set(cache_folder.glob("tokens-*"))
    for run, name, source in ((invoke, "file", "rows.tsv"), (textrnn, "pipe", "-")):
        done = run("train", "--train", source, "--out", name, *arguments, stdin=rows.read_bytes())
        assert done.returncode == 0, done.stderr.decode()
        assert b"up to 64 " in done.stderr
        assert b"8 of 80 texts" in done.stderr
    weights = [load_model(tmp_path / name).weights for name in ("file", "pipe")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    assert not list(cache_folder.glob("textrnn-draft-*"))
    # two entries: the format comes from the file name or from the first line
    assert len(set(cache_folder.glob("tokens-*")) - cached) == 2


def test_training_works_without_a_writable_cache(invoke: Run, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv")
    done = invoke("train", "--train", "rows.tsv", "--set", "data.cache=rows.tsv", *small(epochs=1))
    assert done.returncode == 0, done.stderr.decode()
    assert b"rows.tsv: cannot be written" in done.stderr
    assert (tmp_path / "runs" / "rows-sru" / "model.safetensors").exists()


def test_evaluate_counts_what_predict_prints(trained: Path, invoke: Run) -> None:
    rows = [line.split("\t") for line in (trained / "rows.tsv").read_text().splitlines()]
    found = json.loads(invoke("evaluate", "-m", "runs/small", "rows.tsv", "--json", cwd=trained).stdout)
    texts = "".join(f"{text}\n" for _, text in rows).encode()
    labels = labels_of(invoke("predict", "-m", "runs/small/model.safetensors", cwd=trained, stdin=texts).stdout)
    assert found["correct"] == sum(label == true for label, (true, _) in zip(labels, rows, strict=True))
    assert sum(map(sum, found["confusion"])) == found["texts"] == len(rows)


def test_one_line_out_for_each_line_in(trained: Path, invoke: Run) -> None:
    utf8 = ("--set", "data.encoding=utf-8")  # one line alone would not show it
    done = invoke("predict", *utf8, cwd=trained, stdin=b"\n".join(ODD_LINES))
    assert done.returncode == 0
    assert b"U+FFFD" in done.stderr
    lines = done.stdout.decode().split("\n")
    assert len(lines) - 1 == len(ODD_LINES)
    assert all(label in ("tea", "coffee") for label in labels_of(done.stdout))
    # in order: each line alone gives the same
    for line, got in zip(ODD_LINES, lines, strict=False):
        label, probability = got.split("\t")
        alone = invoke("predict", *utf8, cwd=trained, stdin=line + b"\n").stdout.decode().split("\t")
        assert alone[0] == label
        assert float(alone[1]) == pytest.approx(float(probability), abs=2e-6)


def test_a_failed_run_leaves_the_earlier_one(trained: Path, tmp_path: Path, invoke: Run) -> None:
    shutil.copytree(trained / "runs" / "small", tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    (tmp_path / "bad.tsv").write_text("tea\n")
    assert invoke("train", "--train", "bad.tsv", "--out", "run", "--overwrite", cwd=tmp_path).returncode == 1
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_init_writes_a_config_that_trains(invoke: Run, tmp_path: Path) -> None:
    assert invoke("init").returncode == 0
    done = invoke("train", "textrnn.yaml", *small(epochs=1, vocab_size=1500))
    assert done.returncode == 0, done.stderr.decode()
    assert b"demo data" in done.stderr
    assert (tmp_path / "runs" / "demo-sru" / "model.safetensors").exists()
