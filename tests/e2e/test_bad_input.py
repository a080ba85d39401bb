"""Faults of every kind: one line on stderr with the place, the documented exit status, and no file touched."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from command import Run

DATA, USAGE = 1, 2
ROWS = b"tea\tgreen tea\ncoffee\tblack coffee\ntea\tmore tea\ncoffee\tmore coffee\n"
MULTI_LABEL = "--set data.multi_label=true --set data.label_separator=|"
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
    words: str  # that the line contains: the place, the key, or what is wrong
    files: dict[str, Content] = field(default_factory=dict)
    stdin: bytes = b""


def train(name: str, status: int, words: str, arguments: str = "", *, rows: Content = ROWS, **files: Content) -> Case:
    """A case of ``train --train rows.tsv``; ``x_y=...`` makes a file ``x.y``."""
    named = {"rows.tsv": rows, **{key.replace("_", "."): content for key, content in files.items()}}
    return Case(name, f"train --train rows.tsv {arguments}".strip(), status, words, named)


def train_on(file: str, content: Content, words: str, arguments: str = "") -> Case:
    """A case of bad labelled data in ``file``."""
    return Case(f"data {words}", f"train --train {file} {arguments}".strip(), DATA, words, {file: content})


CASES = [
    # the config
    train("unknown key", USAGE, "model.hiden=3: model.hiden: 'hidden'", "--set model.hiden=3"),
    train("impossible flag", USAGE, "--lr -1.0: train.lr: above 0", "--lr -1"),
    train("no CUDA here", USAGE, "device cuda: --device cpu", "--device cuda"),
    train("separator without several labels", USAGE, "data.label_separator: data.multi_label", "--set data.label_separator=|"),
    Case("valid without train", "train --valid rows.tsv", USAGE, "data.valid: data.train", {"rows.tsv": ROWS}),
    Case("no config file", "train gone.yaml", USAGE, "gone.yaml: init"),
    Case("config is binary", "train c.yaml", USAGE, "c.yaml: YAML", {"c.yaml": b"\xff\xfe\x00"}),
    Case("config with an impossible date", "train c.yaml", USAGE, "c.yaml:2: YAML month", {"c.yaml": b"train:\n  lr: 2024-13-45\n"}),
    Case("config with NUL", "train c.yaml", USAGE, "c.yaml: YAML characters", {"c.yaml": b"train:\0\n"}),
    Case("config with an unknown key", "train c.yaml", USAGE, "c.yaml:2: model.hiden: 'hidden'", {"c.yaml": b"model:\n  hiden: 3\n"}),
    Case("data for a config", "train rows.txt", USAGE, "rows.txt:1: YAML --train", {"rows.txt": b"a: b: c\n"}),
    # labelled data
    Case("missing file", "train --train gone.tsv", DATA, "gone.tsv: no such file"),
    train("folder for a file", DATA, "rows.tsv: folder", rows=folder),
    train("empty file", DATA, "rows.tsv: empty", rows=b""),
    train("blank lines only", DATA, "rows.tsv: no labelled", rows=b"\n\n"),
    train("one class", DATA, "rows.tsv: 'tea'", rows=b"tea\ta\ntea\tb\n"),
    train("label only", DATA, "rows.tsv:2: label<TAB>text", rows=b"tea\ta\ncoffee\n"),
    train("nothing to hold out", DATA, "rows.tsv: too few", rows=b"tea\ta\ncoffee\tb\n"),
    train("missing valid", DATA, "gone.tsv: no such file", "--valid gone.tsv"),
    train("broken valid", DATA, "bad.tsv:1: 'label'", "--valid bad.tsv", bad_tsv=b"tea\n"),
    train("missing test", DATA, "gone.tsv: no such file", "--set data.test=gone.tsv"),
    train("broken test", DATA, "bad.tsv:1: 'label'", "--set data.test=bad.tsv", bad_tsv=b"tea\n"),
    train("no label of valid is known", DATA, "v.tsv:1: 'water'", "--valid v.tsv", v_tsv=b"water\tx\n"),
    train_on("d.csv", b"kind,text\ntea,a\n", "d.csv:1: 'label' kind, text"),
    train_on("d.csv", b'label,text\ntea,"a\n', "d.csv: CSV"),
    train_on("d.jsonl", b'{"label": "a", "text": "b"}\n{"label": \n', "d.jsonl:2: JSON"),
    train_on("d.tsv", b"a\tx\nb\ty\n", "d.tsv: data.label_separator '|'", MULTI_LABEL),
    train_on("d.tsv", "tea\ta\n배송\t언제\n".encode("cp949"), "d.tsv: UTF-8 data.encoding"),
    train_on("d.tsv.bz2", bz2.compress(ROWS)[:-9], "d.tsv.bz2: damaged"),
    train_on("d.tsv.gz", gzip.compress(ROWS)[:-9], "d.tsv.gz: damaged"),
    train("broken vectors", DATA, "words.txt:2: 2", "--vectors words.txt", words_txt=b"tea 1 2 3\ncoffee 1 2\n"),
    # tokenizers
    train("missing tokenizer", DATA, "gone.model: spm-train", "--tokenizer gone.model"),
    train("tokenizer that is none", DATA, "t.model: SentencePiece", "--tokenizer t.model", t_model=b"no"),
    train("tokenizer too small", DATA, "3 pieces --character-coverage", "--set tokenizer.vocab_size=3"),
    Case("spm-train of a missing file", "spm-train --input a.txt,b.txt", DATA, "b.txt: no such file", {"a.txt": TEXT}),
    Case("spm-train of nothing", "spm-train --input -", DATA, "no text input"),
    Case("spm-train of blanks", "spm-train --input -", DATA, "no text blank", {}, b"\n \n\n"),
    Case("vocabulary too small", "spm-train --input a.txt --vocab-size 5", DATA, "5 pieces --character-coverage", {"a.txt": TEXT}),
    Case("unknown option of SentencePiece", "spm-train --input a.txt --set fly=1", USAGE, "fly: SentencePiece", {"a.txt": TEXT}),
    Case("damaged xz", "spm-train --input a.xz", DATA, "a.xz: damaged", {"a.xz": lzma.compress(TEXT)[:-20]}),
    Case("encode without a model", "spm-encode -m gone.model", DATA, "gone.model: spm-train"),
    # models
    Case("no model here", "predict", DATA, "no model trained -m"),
    Case("missing model", "predict -m gone", DATA, "gone: no such"),
    Case("run without a model", "predict -m r", DATA, "textrnn: r: model.safetensors", {"r": folder}),
    Case("pickle for a model", "predict -m m.pt", DATA, "m.pt: model", {"m.pt": pickle.dumps({"a": 1})}),
    Case("other safetensors", "predict -m m.safetensors", DATA, "m.safetensors: model", {"m.safetensors": other_safetensors}),
    Case("pointer to a run that is gone", "predict", DATA, "latest: runs/x", {"runs/latest": b"runs/x\n"}),
    # what would be overwritten
    Case("init over a file", "init a.yaml", USAGE, "a.yaml: exists", {"a.yaml": b"x"}),
    train("out is a file", USAGE, "--out rows.tsv: file", "--out rows.tsv"),
    train("out holds other files", USAGE, "--out f: thesis.txt", "--out f", f=full_folder),
    train("out is the pointer", USAGE, "--out runs/latest:", "--out runs/latest"),
]  # fmt: skip

WITH_MODEL = [
    Case("predict with a threshold for one label", "predict --threshold 0.5", USAGE, "--threshold 0.5:"),
    Case("evaluate broken data", "evaluate a.tsv", DATA, "a.tsv:2: tab", {"a.tsv": b"tea\tx\ny\n"}),
    Case("evaluate a missing column", "evaluate a.csv --set data.text=body", DATA, "a.csv:1: 'body'", {"a.csv": b"label,text\na,b\n"}),
    Case("predict on a device that is not there", "predict --device cuda:99 a.txt", USAGE, "device cuda:99:", {"a.txt": TEXT}),
    Case("predict a missing file", "predict a.txt gone.txt", DATA, "gone.txt: no such file", {"a.txt": TEXT}),
    Case("predict a folder", "predict f", DATA, "f: folder", {"f": folder}),
    Case("predict damaged gzip", "predict a.gz", DATA, "a.gz: damaged", {"a.gz": b"\x1f\x8b and no gzip after it"}),
    Case("predict a field that is not there", "predict --field 2 a.tsv", DATA, "a.tsv:1: 1 column 2", {"a.tsv": b"tea\n"}),
    Case("predict to a file, with a fault", "predict --field 1 -o out a.csv", DATA, "a.csv:2: CSV", {"a.csv": b'tea\n"x\n'}),
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


def check(case: Case, invoke: Run, path: Path) -> None:
    lay_out(case, path)
    before = snapshot(path)
    done = invoke(*case.command.split(), stdin=case.stdin)
    error = done.stderr.decode()
    assert done.returncode == case.status, error
    (line,) = error.splitlines()
    assert line.startswith("textrnn: ")
    assert [word for word in case.words.split() if word not in line] == [], line
    assert done.stdout == b""
    assert snapshot(path) == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case: Case, invoke: Run, tmp_path: Path) -> None:
    check(case, invoke, tmp_path)


@pytest.mark.parametrize("case", WITH_MODEL, ids=lambda case: case.name)
def test_bad_input_to_a_model(case: Case, invoke: Run, tmp_path: Path, trained: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "latest").write_text(str(trained / "runs" / "small"))
    check(case, invoke, tmp_path)
