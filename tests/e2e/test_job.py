"""The whole job through the installed command: tokenizer, training, evaluation, prediction in a pipe."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece

from command import SMALL, Run, find_command, list_loaded, run_command
from samples import ODD_LINES, write_rows
from textrnn.serialization.model_file import load_model


def labels_of(output: bytes) -> list[str]:
    return [line.split("\t")[0] for line in output.decode().split("\n")[:-1]]


def test_spm_train_writes_what_sentencepiece_reads(textrnn: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfthe kettle boils\r\nthe tea is late\r\n" + b"x" * 5000 + b"\r\n")
    done = textrnn("spm-train", "--input", "a.txt")
    assert done.returncode == 0
    assert done.stdout == b""
    spm = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.uni.model"))
    message = done.stderr.decode()
    assert "3 lines read, 1 skipped as too long" in message
    assert f"{spm.vocab_size()} unigram pieces" in message
    assert "LOG(INFO)" not in message
    pieces = [line.split("\t")[0] for line in (tmp_path / "m.uni.vocab").read_text().split("\n")[:-1]]
    assert pieces == [spm.id_to_piece(i) for i in range(spm.vocab_size())]
    assert not any("\ufeff" in piece or "\r" in piece for piece in pieces)


def test_spm_train_keeps_earlier_files(textrnn: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three\n")
    (tmp_path / "b.txt").write_text("four five six\n")
    textrnn("spm-train", "--input", "a.txt")
    first = (tmp_path / "m.uni.model").read_bytes()
    textrnn("spm-train", "--input", "a.txt")
    assert not (tmp_path / "m.uni.model.1").exists()  # the same bytes: nothing to keep
    done = textrnn("spm-train", "--input", "b.txt")
    assert (tmp_path / "m.uni.model.1").read_bytes() == first
    assert b"an earlier m.uni.model is kept as m.uni.model.1" in done.stderr
    textrnn("spm-train", "--input", "a.txt", "--overwrite")
    assert (tmp_path / "m.uni.model").read_bytes() == first
    assert not (tmp_path / "m.uni.model.2").exists()


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char", "word"])
@pytest.mark.parametrize("form", ["piece", "id"])
def test_encode_and_decode_are_filters(kind: str, form: str, textrnn: Run, tmp_path: Path) -> None:
    text = "the  kettle boils\n\nthe tea is late\n   late tea\nａ ﬁ\n".encode()
    assert textrnn("spm-train", "--input", "-", "--model-type", kind, "--model-prefix", "m", stdin=text).returncode == 0
    encoded = textrnn("spm-encode", "-m", "m.model", "--output-format", form, stdin=text)
    decoded = textrnn("spm-decode", "-m", "m.model", "--input-format", form, stdin=encoded.stdout)
    assert decoded.stdout.decode() == "the kettle boils\n\nthe tea is late\nlate tea\na fi\n"
    assert encoded.stderr == decoded.stderr == b""


def test_sampling_draws_other_pieces_of_the_same_text(textrnn: Run) -> None:
    text = b"internationalization of tokens\n"
    textrnn("spm-train", "--input", "-", "--model-prefix", "m", stdin=text * 9)
    drawn = textrnn("spm-encode", "-m", "m.model", "--sample", "--alpha", 0.1, stdin=text * 20).stdout
    assert len(set(drawn.splitlines())) > 1
    assert textrnn("spm-decode", "-m", "m.model", stdin=drawn).stdout == text * 20
    two = textrnn("spm-encode", "-m", "m.model", "--sample", "--nbest-size", 2, "--alpha", 0, stdin=text * 40).stdout
    assert len(set(two.splitlines())) == 2


def test_a_char_tokenizer_cannot_sample(textrnn: Run) -> None:
    textrnn("spm-train", "--input", "-", "--model-prefix", "m", "--model-type", "char", stdin=b"abc\n")
    done = textrnn("spm-encode", "-m", "m.model", "--sample", stdin=b"abc\n")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"textrnn: standard input:1: this tokenizer cannot sample; unigram and bpe tokenizers can\n"


def test_training_gives_a_run_and_predicting_uses_it(trained: Path) -> None:
    run = trained / "runs" / "small"
    assert {path.name for path in run.iterdir()} == {"model.safetensors", "config.yaml", "metrics.jsonl", "command.txt"}
    assert (trained / "runs" / "latest").read_text() == "runs/small\n"
    assert (run / "command.txt").read_text().startswith("textrnn train --train rows.tsv --out runs/small ")
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    assert records[-1]["loss"] < records[0]["loss"]
    done = run_command("predict", cwd=trained, stdin=b"green tea with lemon\nblack coffee with milk\n")
    assert labels_of(done.stdout) == ["tea", "coffee"]
    assert done.stderr == b""


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
def test_the_same_command_gives_the_same_bytes(cell: str, textrnn: Run, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv")
    arguments = ("train", "--train", "rows.tsv", "--cell", cell, *SMALL, "--epochs", 2)
    first = textrnn(*arguments)
    assert first.returncode == 0, first.stderr.decode()
    folder = tmp_path / "runs" / f"rows-{cell}"
    assert first.stdout.decode() == f"runs/rows-{cell}\n"
    second = textrnn(*arguments)
    assert b"an earlier run was in" in second.stderr
    kept = folder.with_name(f"{folder.name}.1")
    assert (kept / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    # the resolved config trains the same model again
    third = textrnn("train", folder / "config.yaml", "--out", "again", "--overwrite")
    assert third.returncode == 0, third.stderr.decode()
    assert (tmp_path / "again/model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", 'label,text\ntea,"green, tea"\ncoffee,"black\ncoffee"\n' * 1 + "tea,more tea\ncoffee,more\n"),
        ("rows.jsonl", "".join(f'{{"label": "{x}", "text": "{x} now"}}\n' for x in ["tea", "coffee"] * 2)),
        ("rows.txt", "".join(f"__label__{x} {x} now\n" for x in ["tea", "coffee"] * 2)),
        ("rows", "".join(f"{x}\t{x} now\n" for x in ["tea", "coffee"] * 2)),
    ],
)
def test_every_format_trains_and_evaluates(name: str, content: str, textrnn: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    done = textrnn("train", "--train", name, "--valid", name, *SMALL, "--epochs", 1)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(textrnn("evaluate", name, "--json").stdout)
    assert (found["texts"], sorted(c["label"] for c in found["classes"])) == (4, ["coffee", "tea"])


def test_a_pipe_trains_as_its_file_does(textrnn: Run, tmp_path: Path, cache_folder: Path) -> None:
    rows = write_rows(tmp_path / "rows.tsv", 80)
    arguments = (*SMALL, "--epochs", 1, "--set", "train.batch_size=null", "--set", "train.batch_tokens=64")
    arguments = tuple(argument for argument in arguments if argument not in ("--batch-size", "4"))
    cached = set(cache_folder.glob("tokens-*"))
    for name, source in (("file", "rows.tsv"), ("pipe", "-")):
        done = textrnn("train", "--train", source, "--out", name, *arguments, stdin=rows.read_bytes())
        assert done.returncode == 0, done.stderr.decode()
        assert b"batches of up to 64 tokens" in done.stderr
        assert b"8 of 80 texts held out" in done.stderr
    weights = [load_model(tmp_path / name).weights for name in ("file", "pipe")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    assert not list(cache_folder.glob("textrnn-draft-*"))
    # an extension tells the format of one, the first line that of the other
    assert len(set(cache_folder.glob("tokens-*")) - cached) == 2


def test_a_cache_that_cannot_be_written_is_done_without(textrnn: Run, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv")
    done = textrnn("train", "--train", "rows.tsv", "--set", "data.cache=rows.tsv", *SMALL, "--epochs", 1)
    assert done.returncode == 0, done.stderr.decode()
    assert b"rows.tsv: cannot be written (" in done.stderr
    assert (tmp_path / "runs" / "rows-sru" / "model.safetensors").exists()


def test_evaluate_counts_what_predict_prints(trained: Path) -> None:
    rows = [line.split("\t") for line in (trained / "rows.tsv").read_text().splitlines()]
    found = json.loads(run_command("evaluate", "-m", "runs/small", "rows.tsv", "--json", cwd=trained).stdout)
    texts = "".join(f"{text}\n" for _, text in rows).encode()
    labels = labels_of(run_command("predict", "-m", "runs/small/model.safetensors", cwd=trained, stdin=texts).stdout)
    assert found["correct"] == sum(label == true for label, (true, _) in zip(labels, rows, strict=True))
    assert sum(map(sum, found["confusion"])) == found["texts"] == len(rows)


def test_evaluate_says_that_a_label_is_unknown(trained: Path) -> None:
    done = run_command("evaluate", "-", cwd=trained, stdin=b"tea\tgreen tea\nwater\tcold water\n")
    assert done.returncode == 0
    assert b"1 text has labels that the model does not know ('water')" in done.stderr
    assert b"textrnn: model: runs/small, the latest run here" in done.stderr
    assert "accuracy     50.00 %" in done.stdout.decode()


def test_one_line_out_for_each_line_in(trained: Path) -> None:
    done = run_command("predict", cwd=trained, stdin=b"\n".join(ODD_LINES))
    assert done.returncode == 0
    assert done.stderr == b""
    lines = done.stdout.decode().split("\n")
    assert len(lines) - 1 == len(ODD_LINES)
    assert all(label in ("tea", "coffee") for label in labels_of(done.stdout))
    # in order: each line by itself gives the same
    for line, got in zip(ODD_LINES, lines, strict=False):
        label, probability = got.split("\t")
        alone = run_command("predict", cwd=trained, stdin=line + b"\n").stdout.decode().split("\t")
        assert alone[0] == label
        assert float(alone[1]) == pytest.approx(float(probability), abs=2e-6)


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="the system has no SIGPIPE")
def test_head_ends_it_quietly(trained: Path) -> None:
    with subprocess.Popen(
        [find_command(), "predict"], cwd=trained, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout and process.stderr  # noqa: PT018
        process.stdin.write(b"green tea\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"tea\t")  # answered while the input is still open
        process.stdout.close()
        process.stdin.write(b"green tea\n" * 10)
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == -signal.SIGPIPE


def test_predict_loads_no_torch(trained: Path) -> None:
    modules = list_loaded("predict", "--top-k", "2", cwd=trained, stdin=b"tea\n")
    assert "numpy" in modules
    assert not {"torch", "sklearn"} & modules


def test_a_failed_run_leaves_the_earlier_one(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "runs" / "small", tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    (tmp_path / "bad.tsv").write_text("tea\n")
    assert run_command("train", "--train", "bad.tsv", "--out", "run", "--overwrite", cwd=tmp_path).returncode == 1
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_init_writes_a_config_that_trains(textrnn: Run, tmp_path: Path) -> None:
    assert textrnn("init").returncode == 0
    done = textrnn("train", "textrnn.yaml", *SMALL, "--epochs", 1, "--set", "tokenizer.vocab_size=1500")
    assert done.returncode == 0, done.stderr.decode()
    assert b"training on the demo data" in done.stderr
    assert (tmp_path / "runs" / "demo-sru" / "model.safetensors").exists()


def test_the_demo_does_the_whole_job(textrnn: Run, tmp_path: Path) -> None:
    done = textrnn("demo")
    error, output = done.stderr.decode(), done.stdout.decode()
    assert done.returncode == 0, error
    for command in ("spm-train --input", "train --cell sru", "train --cell gru", "evaluate -m runs/sru", "predict -m"):
        assert f"textrnn {command}" in error  # each is shown
    rows = [line.split() for line in output.splitlines()[-2:]]
    assert [row[0] for row in rows] == ["SRU", "GRU"]
    assert all(float(row[1]) > 45 for row in rows)  # of six labels, a guess is right in 17 %
    assert {path.name for path in (tmp_path / "textrnn-demo").iterdir()} == {
        "data",
        "runs",
        "m.uni.model",
        "m.uni.vocab",
    }


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="signals are sent as POSIX does")
def test_ctrl_c_leaves_the_best_model_and_says_so(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv", 400)
    arguments = [
        find_command(),
        "train",
        "--train",
        "rows.tsv",
        *SMALL,
        "--epochs",
        "500",
        "--set",
        "train.patience=500",
    ]
    with subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        assert process.stderr
        while b"epoch 2/500" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().splitlines()
        assert said[-1] == (
            b"textrnn: the best model so far is in runs/rows-sru; resume with: textrnn train --resume runs/rows-sru"
        )
        assert process.wait(60) == 130
    assert labels_of(run_command("predict", cwd=tmp_path, stdin=b"green tea\n").stdout) == ["tea"]


def test_help_version_schema_and_doctor(textrnn: Run) -> None:
    commands = (
        "train",
        "tune",
        "predict",
        "filter",
        "evaluate",
        "spm-train",
        "spm-encode",
        "spm-decode",
        "demo",
        "init",
        "doctor",
    )
    for command in commands:
        lines = textrnn(command, "--help").stdout.decode().splitlines()
        assert any(line.startswith("    ") and f"textrnn {command}" in line for line in lines)  # an example
    assert textrnn("--version").stdout.startswith(b"textrnn ")
    schema = json.loads(textrnn("config", "schema").stdout)
    assert schema["$defs"]["ModelConfig"]["properties"]["cell"]["enum"] == ["gru", "sru", "lstm"]
    doctor = textrnn("doctor").stdout.decode()
    assert "SRU backend" in doctor
    assert "missing" not in doctor
    assert f"cache          {os.environ['XDG_CACHE_HOME']}/textrnn (" in doctor


def test_nothing_alone_prints_the_help_and_fails(textrnn: Run) -> None:
    done = textrnn()
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"textrnn demo" in done.stderr


def test_the_module_runs_too(trained: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "textrnn", "predict", "--format", "label"],
        cwd=trained,
        input=b"green tea\n",
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"tea\n"
