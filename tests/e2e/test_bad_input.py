"""Whatever is wrong: one line on stderr that says what and where, the documented status, and nothing touched."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import zstandard
from safetensors.numpy import save_file

from command import Run, find_command

DATA, USAGE = 1, 2
ROWS = b"tea\tgreen tea\ncoffee\tblack coffee\ntea\tmore tea\ncoffee\tmore coffee\n"
SEVERAL = "--set data.multi_label=true --set data.label_separator=|"
TEXT = b"a sentence to train on\nand one more sentence\n" * 5

Content = bytes | Callable[[Path], None]


def folder(path: Path) -> None:
    path.mkdir()


def full_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")


def other_safetensors(path: Path) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, path)


@dataclass(frozen=True)
class Case:
    name: str
    command: str
    status: int
    message: str  # a regular expression over the one line, after "textrnn: "
    files: dict[str, Content] = field(default_factory=dict)
    stdin: bytes = b""


def train(name: str, status: int, message: str, arguments: str = "", *, rows: Content = ROWS, **files: Content) -> Case:
    """A case of ``train --train rows.tsv``; ``x_y=...`` makes a file ``x.y``."""
    named = {"rows.tsv": rows, **{key.replace("_", "."): content for key, content in files.items()}}
    return Case(name, f"train --train rows.tsv {arguments}".strip(), status, message, named)


def train_on(file: str, content: Content, message: str, arguments: str = "") -> Case:
    """A case of bad labelled data in ``file``."""
    return Case(f"data {message}", f"train --train {file} {arguments}".strip(), DATA, message, {file: content})


CASES = [
    # the command line
    Case("unknown command", "fly", USAGE, r"no such command 'fly'; see 'textrnn --help'"),
    Case("unknown option", "train --fly", USAGE, r"no such option: --fly.*see 'textrnn train --help'"),
    Case("missing argument", "evaluate", USAGE, r"missing argument 'DATA'"),
    Case("not a number", "train --layers two", USAGE, r".*'--layers'"),
    Case("not a choice", "train --cell rnn", USAGE, r".*'--cell'.*'rnn'"),
    Case("top-k of 0", "predict --top-k 0", USAGE, r".*'--top-k'"),
    Case("unknown output format", "predict --format xml", USAGE, r".*'--format'"),
    Case("filter without a label", "filter a.txt", USAGE, r"missing option '--label'"),
    Case("no jobs", "predict --jobs 0", USAGE, r".*'--jobs'"),
    Case("input format of lines", "predict --input-format csv", USAGE, r"--input-format csv: .*name its text with --field"),
    Case("a table in another format", "predict --field 1 --format jsonl", USAGE, r"--format jsonl: with --field records keep their own"),
    Case("explanations without JSON", "predict --explain", USAGE, r"--explain: prints objects; say --format jsonl"),
    Case("a precision of the CPU for a GPU", "predict -m m --device cuda:99 --precision bf16", USAGE, r"--precision bf16: for the CPU; leave it out with --device cuda:99", {"m": b""}),
    Case("a table with its text", "predict --field 1 --with-text", USAGE, r"--with-text: with --field a record is printed whole"),
    Case("unknown label alone", "predict --unknown-label x", USAGE, r"--unknown-label x: say with --min-prob for which lines"),
    Case("blank unknown label", "predict --min-prob 0.5 --unknown-label=", USAGE, r"--unknown-label: it is blank"),
    Case("output of another kind", "predict -o a.tsv.bz2", USAGE, r"--output a\.tsv\.bz2: what is written is plain, or \.gz, \.xz or \.zst"),
    Case("output is a folder", "predict -o f", USAGE, r"--output f: a folder; name a file", {"f": folder}),
    # the config
    train("unknown key", USAGE, r"--set model\.hiden=3: model\.hiden: unknown key, did you mean 'hidden'\?", "--set model.hiden=3"),
    train("unknown section", USAGE, r"--set modell\.hidden=3: modell\.hidden: not a key", "--set modell.hidden=3"),
    train("no equals sign", USAGE, r"--set model\.hidden: write SECTION", "--set model.hidden"),
    train("value that is no YAML", USAGE, r"--set model\.hidden=\[: the value is not YAML", "--set model.hidden=["),
    train("wrong type", USAGE, r"--set model\.layers=two: model\.layers: should be a valid integer", "--set model.layers=two"),
    train("impossible value", USAGE, r"--set model\.dropout=2: .*less than 1, not 2", "--set model.dropout=2"),
    train("impossible flag", USAGE, r"--lr -1\.0: train\.lr: should be greater than 0", "--lr -1"),
    train("two sizes of a batch", USAGE, r"--set train\.batch_tokens=9: train\.batch_tokens: cannot be combined with train\.batch_size; remove one of them", "--batch-size 3 --set train.batch_tokens=9"),
    train("no such device name", USAGE, r"--device gpu: train\.device: should be auto, cpu", "--device gpu"),
    train("no CUDA here", USAGE, r"device cuda: no CUDA device here; use --device cpu", "--device cuda"),
    Case("valid without train", "train --valid rows.tsv", USAGE, r".*data\.valid: needs data\.train", {"rows.tsv": ROWS}),
    Case("no config file", "train gone.yaml", USAGE, r"gone\.yaml: no such config file; create one"),
    Case("config is a folder", "train f.yaml", USAGE, r"f\.yaml: is a folder", {"f.yaml": folder}),
    Case("config is no YAML", "train c.yaml", USAGE, r"c\.yaml:2: not YAML", {"c.yaml": b"model:\n\tcell: gru\n"}),
    Case("config is binary", "train c.yaml", USAGE, r"c\.yaml: not a YAML file", {"c.yaml": b"\xff\xfe\x00"}),
    Case("config with an impossible date", "train c.yaml", USAGE, r"c\.yaml:2: not YAML: month must be in", {"c.yaml": b"train:\n  lr: 2024-13-45\n"}),
    Case("config with NUL", "train c.yaml", USAGE, r"c\.yaml: not YAML: special characters", {"c.yaml": b"train:\0\n"}),
    Case("config is a list", "train c.yaml", USAGE, r"c\.yaml: contains no keys", {"c.yaml": b"- 1\n- 2\n"}),
    Case("config with an unknown key", "train c.yaml", USAGE, r"c\.yaml:2: model\.hiden: unknown key, did you mean 'hidden'\?", {"c.yaml": b"model:\n  hiden: 3\n"}),
    Case("config with a key twice", "train c.yaml", USAGE, r"c\.yaml:3: model\.cell: written twice", {"c.yaml": b"model:\n  cell: gru\n  cell: sru\n"}),
    # labelled data
    Case("train given twice", "train --train a.tsv --train b.tsv", USAGE, r"--train b\.tsv: given twice; put the files together"),
    Case("data for a config", "train rows.txt", USAGE, r"rows\.txt:\d: not YAML: .* \(name labelled text with --train\)", {"rows.txt": b"a: b: c\n"}),
    Case("missing file", "train --train gone.tsv", DATA, r"gone\.tsv: no such file"),
    train("folder for a file", DATA, r"rows\.tsv: is a folder; name a file", rows=folder),
    train("empty file", DATA, r"rows\.tsv: is empty", rows=b""),
    train("blank lines only", DATA, r"rows\.tsv: contains no labelled text", rows=b"\n\n"),
    train("one class", DATA, r"rows\.tsv: every text has the label 'tea'", rows=b"tea\ta\ntea\tb\n"),
    train("label only", DATA, r"rows\.tsv:2: no tab; write label<TAB>text", rows=b"tea\ta\ncoffee\n"),
    train("empty label", DATA, r"rows\.tsv:2: the label is empty", rows=b"tea\ta\n\tb\n"),
    train("nothing to hold out", DATA, r"rows\.tsv: too few texts to hold some out", rows=b"tea\ta\ncoffee\tb\n"),
    train("missing valid", DATA, r"gone\.tsv: no such file", "--valid gone.tsv"),
    train("broken valid", DATA, r"bad\.tsv:1: no tab", "--valid bad.tsv", bad_tsv=b"tea\n"),
    train("no label of valid is known", DATA, r"v\.tsv:1: no label of this file is in the training text; 'water' is not", "--valid v.tsv", v_tsv=b"water\tx\n"),
    train("broken test", DATA, r"bad\.tsv:1: no tab", "--set data.test=bad.tsv", bad_tsv=b"tea\n"),
    train("missing test", DATA, r"gone\.tsv: no such file", "--set data.test=gone.tsv"),
    train_on("d.csv", b"kind,text\ntea,a\n", r"d\.csv:1: no column 'label' \(the header has kind, text\)"),
    train_on("d.csv", b"label,text\ntea,a\ntea,b,c\n", r"d\.csv:3: 3 columns, but the header has 2"),
    train_on("d.csv", b'label,text\ntea,"a\n', r"d\.csv:\d: not CSV"),
    train_on("d.jsonl", b'{"label": "a", "text": "b"}\n{"label": \n', r"d\.jsonl:2: not JSON"),
    train_on("d.jsonl", b"[1, 2]\n", r"d\.jsonl:1: not a JSON object"),
    train_on("d.jsonl", b'{"label": "a"}\n', r"d\.jsonl:1: no key 'text' \(the keys are label\)"),
    train_on("d.jsonl", b'{"label": null, "text": "b"}\n', r"d\.jsonl:1: 'label' is not a string"),
    train_on("d.txt", b"__label__a x\n__label__a __label__b y\n", r"d\.txt:2: more than one label"),
    train_on("d.tsv", b"a|b\tx\na||b\ty\n", r"d\.tsv:2: one of the labels is empty", SEVERAL),
    train_on("d.tsv", b"a\tx\nb\ty\n", r"d\.tsv: no label contains data\.label_separator '\|'", SEVERAL),
    train("separator without several labels", USAGE, r"--set data\.label_separator=\|: data\.label_separator: needs data\.multi_label=true", "--set data.label_separator=|"),
    train_on("d.txt", b"__label__a x\nb y\n", r"d\.txt:2: no label; write __label__"),
    train_on("d.txt", b"just some words\n", r"d\.txt:1: cannot tell the format"),
    train_on("d.tsv", "tea\ta\n배송\t언제\n".encode("cp949"), r"d\.tsv:2: not UTF-8; convert the file"),
    train_on("d.tsv.bz2", bz2.compress(ROWS), r"d\.tsv\.bz2: bzip2 is not supported; unpack"),
    train_on("d.tsv", "tea\ta\n".encode("utf-16"), r"d\.tsv:1: UTF-16 text; convert it"),
    train_on("d.tsv.gz", gzip.compress(ROWS)[:-9], r"d\.tsv\.gz: compressed data is damaged or truncated"),
    # tokenizers
    train("missing tokenizer", DATA, r"gone\.model: no such tokenizer", "--tokenizer gone.model"),
    train("tokenizer that is none", DATA, r"t\.model: not a SentencePiece model", "--tokenizer t.model", t_model=b"no"),
    train("tokenizer too small", DATA, r"a vocabulary of 3 is smaller than the \d+ characters", "--set tokenizer.vocab_size=3"),
    Case("spm-train without input", "spm-train", USAGE, r"missing option '--input'"),
    Case("spm-train of a missing file", "spm-train --input a.txt,b.txt", DATA, r"b\.txt: no such file", {"a.txt": TEXT}),
    Case("spm-train of nothing", "spm-train --input -", DATA, r"no text to train a tokenizer on: the input is empty"),
    Case("spm-train of blanks", "spm-train --input -", DATA, r"no text .*: all lines are blank", {}, b"\n \n\n"),
    Case("vocabulary too large", "spm-train --input a.txt --vocab-size 9000", DATA, r"a\.txt: cannot give 9,000 pieces, \d+ at most: ask for --vocab-size \d+, or --no-hard-vocab-limit", {"a.txt": TEXT}),
    Case("vocabulary too small", "spm-train --input a.txt --vocab-size 5", DATA, r"a vocabulary of 5 is smaller than", {"a.txt": TEXT}),
    Case("unknown type", "spm-train --input a.txt --model-type wordpiece", USAGE, r".*'--model-type'", {"a.txt": TEXT}),
    Case("unknown option of SentencePiece", "spm-train --input a.txt --set fly=1", USAGE, r"fly: SentencePiece has no such option", {"a.txt": TEXT}),
    Case("coverage out of range", "spm-train --input a.txt --character-coverage 3", USAGE, r".*'--character-coverage'", {"a.txt": TEXT}),
    Case("damaged zst", "spm-train --input a.zst", DATA, r"a\.zst: compressed data is damaged", {"a.zst": zstandard.compress(TEXT)[:-3]}),
    Case("damaged xz", "spm-train --input a.xz", DATA, r"a\.xz: compressed data is damaged", {"a.xz": lzma.compress(TEXT)[:-20]}),
    Case("prefix is a folder", "spm-train --input a.txt --model-prefix p", USAGE, r"--model-prefix p: p\.model is a folder", {"a.txt": TEXT, "p.model": folder}),
    Case("encode without a model", "spm-encode -m gone.model", DATA, r"gone\.model: no such tokenizer; train one"),
    Case("encode with another file", "spm-encode -m a.txt", DATA, r"a\.txt: not a SentencePiece model", {"a.txt": TEXT}),
    Case("alpha without sample", "spm-encode -m a.txt --alpha 0.2", USAGE, r"--nbest-size and --alpha go with --sample", {"a.txt": TEXT}),
    Case("nbest-size of 1", "spm-encode -m a.txt --sample --nbest-size 1", USAGE, r"--nbest-size 1: should be -1 \(all\) or 2 to 512", {"a.txt": TEXT}),
    # models
    Case("no model here", "predict", DATA, r".*no model was trained in this folder; train one, or name one with -m"),
    Case("missing model", "predict -m gone", DATA, r"gone: no such model file or run folder"),
    Case("run without a model", "predict -m r", DATA, r"r: holds no model\.safetensors", {"r": folder}),
    Case("pickle for a model", "predict -m m.pt", DATA, r"m\.pt: not a textrnn model", {"m.pt": pickle.dumps({"a": 1})}),
    Case("other safetensors", "predict -m m.safetensors", DATA, r"m\.safetensors: not a textrnn model", {"m.safetensors": other_safetensors}),
    Case("pointer to a run that is gone", "predict", DATA, r"runs/latest: points to runs/x, which is gone", {"runs/latest": b"runs/x\n"}),
    # what would be overwritten
    train("out is a file", USAGE, r"--out rows\.tsv: a file; name a folder", "--out rows.tsv"),
    train("out holds other files", USAGE, r"--out f: holds thesis\.txt, no part of a run", "--out f", f=full_folder),
    train("out is the pointer", USAGE, r"--out runs/latest: the name of the pointer", "--out runs/latest"),
    Case("init over a file", "init a.yaml", USAGE, r"a\.yaml: exists; name another file", {"a.yaml": b"x"}),
    Case("demo over a folder", "demo d", USAGE, r"d: exists; name a new folder", {"d": full_folder}),
]  # fmt: skip

WITH_MODEL = [
    Case("evaluate a missing file", "evaluate gone.tsv", DATA, r"gone\.tsv: no such file"),
    Case("evaluate broken data", "evaluate a.tsv", DATA, r"a\.tsv:2: no tab", {"a.tsv": b"tea\tx\ny\n"}),
    Case("evaluate a missing column", "evaluate a.csv --set data.text=body", DATA, r"a\.csv:1: no column 'body'", {"a.csv": b"label,text\na,b\n"}),
    Case("evaluate with another key", "evaluate a.tsv --set model.hidden=3", USAGE, r"--set model\.hidden=3: evaluate takes data\.format", {"a.tsv": ROWS}),
    Case("evaluate one label with a separator", "evaluate a.tsv --set data.label_separator=|", USAGE, r"--set data\.label_separator=\|: this model gives every text one label", {"a.tsv": ROWS}),
    Case("evaluate one label with a threshold", "evaluate a.tsv --threshold 0.5", USAGE, r"--threshold 0\.5: this model gives every text one label; leave it out", {"a.tsv": ROWS}),
    Case("predict one label with a threshold", "predict --threshold 0.5", USAGE, r"--threshold 0\.5: this model gives every text one label; leave it out"),
    Case("predict on a device that is not there", "predict --device cuda:99 a.txt", USAGE, r"device cuda:99: ", {"a.txt": TEXT}),
    Case("predict a missing file", "predict a.txt gone.txt", DATA, r"gone\.txt: no such file", {"a.txt": TEXT}),
    Case("predict a folder", "predict f", DATA, r"f: is a folder; name a file", {"f": folder}),
    Case("predict damaged gzip", "predict a.gz", DATA, r"a\.gz: compressed data is damaged", {"a.gz": b"\x1f\x8b and no gzip after it"}),
    Case("predict a field that is not there", "predict --field 2 a.tsv", DATA, r"a\.tsv:1: 1 column where the text is in column 2", {"a.tsv": b"tea\n"}),
    Case("predict to a file, with a fault", "predict --field 1 -o out a.csv", DATA, r"a\.csv:2: not CSV", {"a.csv": b'tea\n"x\n'}),
    Case("filter by a label that is near", "filter --label te", USAGE, r"--label te: the model has no such label; did you mean 'tea'\?"),
    Case("filter by a label that is not", "filter --label water", USAGE, r"--label water: the model has no such label; it has coffee, tea"),
    Case("filter a missing file", "filter --label tea gone.txt", DATA, r"gone\.txt: no such file"),
    Case("folder of runs for a run", "predict -m runs", DATA, r"runs: holds no model\.safetensors"),
]  # fmt: skip


def lay_out(case: Case, path: Path) -> None:
    for name, content in case.files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(target)
        else:
            target.write_bytes(content)


def snapshot(path: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(path)): p.read_bytes() if p.is_file() else None for p in path.rglob("*")}


def check(case: Case, textrnn: Run, path: Path) -> None:
    lay_out(case, path)
    before = snapshot(path)
    done = textrnn(*case.command.split(), stdin=case.stdin)
    error = done.stderr.decode()
    assert "Traceback" not in error
    assert done.returncode == case.status, error
    assert error.count("\n") == 1, error
    assert re.match(f"textrnn: {case.message}", error), error
    assert done.stdout == b""
    assert snapshot(path) == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case: Case, textrnn: Run, tmp_path: Path) -> None:
    check(case, textrnn, tmp_path)


@pytest.mark.parametrize("case", WITH_MODEL, ids=lambda case: case.name)
def test_bad_input_to_a_model(case: Case, textrnn: Run, tmp_path: Path, trained: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "latest").write_text(str(trained / "runs" / "small"))
    check(case, textrnn, tmp_path)


@pytest.mark.parametrize("length", [0, 7, 200, 5000])
def test_a_truncated_model_is_refused(length: int, textrnn: Run, tmp_path: Path, trained: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes((trained / "runs/small/model.safetensors").read_bytes()[:length])
    done = textrnn("predict", "-m", "cut.safetensors", stdin=b"a\n")
    assert done.returncode == DATA
    assert re.fullmatch(rb"textrnn: cut\.safetensors: (not a textrnn model.*|damaged: .*)\n", done.stderr)


def test_all_faults_of_a_config_are_told_at_once(textrnn: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("model:\n  hiden: 3\n  layers: 0\ntrain:\n  lr: fast\n")
    done = textrnn("train", "c.yaml", "--set", "train.epochs=0")
    assert done.returncode == USAGE
    lines = done.stderr.decode().splitlines()
    wheres = [
        "c.yaml:2: model.hiden",
        "c.yaml:3: model.layers",
        "c.yaml:5: train.lr",
        "--set train.epochs=0: train.epochs",
    ]
    assert len(lines) == len(wheres)
    assert all(any(line.startswith(f"textrnn: {where}: ") for line in lines) for where in wheres)


def test_debug_prints_the_traceback(textrnn: Run) -> None:
    done = textrnn("predict", "--debug", "-m", "gone")
    assert done.returncode == DATA
    assert b"Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(b"textrnn: gone: no such model")


@pytest.mark.parametrize(
    ("command", "status"),
    [("predict gone.txt", DATA), ("evaluate gone.tsv", DATA), ("filter --label fly", USAGE), ("", USAGE)],
)
def test_where_stderr_is_closed_nothing_is_said(command: str, status: int, trained: Path) -> None:
    done = run_without_stderr(command, trained)
    assert (done.returncode, done.stdout) == (status, b"")


def test_a_run_without_stderr_prints_its_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv").write_bytes(ROWS * 3)
    done = run_without_stderr("train --train rows.tsv --epochs 1 --set ngrams.share=0 --out r", tmp_path)
    assert (done.returncode, done.stdout) == (0, b"r\n")
    (tmp_path / "a.txt").write_bytes(TEXT)
    done = run_without_stderr("spm-train --input a.txt --model-type char", tmp_path)
    assert (done.returncode, done.stdout) == (0, b"")


def run_without_stderr(command: str, path: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f"exec {find_command()} {command} 2>&-"],
        cwd=path,
        stdout=subprocess.PIPE,
        timeout=300,
        check=False,
    )
