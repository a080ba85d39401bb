"""The figures that the README gives, on the real text that TEXTRNN_TEST_DATA names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sentencepiece

from command import Run
from packing import read_lines
from textrnn.data.reading.io import decode
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.mark.parametrize(("kind", "prefix"), [("unigram", "m.uni"), ("bpe", "m.bpe")])
def test_botchan_trains_and_comes_back(
    kind: str, prefix: str, textrnn: Run, tmp_path: Path, measuring_data: Path
) -> None:
    corpus = measuring_data / "botchan.txt"
    done = textrnn("spm-train", "--input", corpus, "--model-type", kind)
    assert done.returncode == 0, done.stderr.decode()
    assert "4,288 lines read, 0 skipped as longer than 4,192 bytes" in done.stderr.decode()
    model = tmp_path / f"{prefix}.model"
    size = sentencepiece.SentencePieceProcessor(model_file=str(model)).vocab_size()
    if kind == "bpe":
        assert size == 8000
    else:  # the text has 6,324 different words and gives no 8,000 unigram pieces; it says so
        assert size > 5000
        assert f"the text gives {size:,} unigram pieces, not 8,000" in done.stderr.decode()
    tokenizer = Tokenizer.read(model)
    wanted = [tokenizer.normalize(decode(line)) for line in read_lines(str(corpus))]
    assert len(wanted) == 4288
    decoded = textrnn("spm-decode", "-m", model, stdin=textrnn("spm-encode", "-m", model, corpus).stdout)
    assert decoded.stdout.decode().split("\n")[:-1] == wanted


@pytest.mark.parametrize(
    ("name", "least", "cell"),
    [
        ("trec", 0.87, "sru"),
        pytest.param("trec", 0.87, "gru", marks=pytest.mark.long),
        pytest.param("chatbot_ko", 0.84, "sru", marks=pytest.mark.long),
        pytest.param("chatbot_ko", 0.84, "gru", marks=pytest.mark.long),
    ],
)
def test_default_settings_reach_the_accuracy(
    name: str, least: float, cell: str, *, textrnn: Run, measuring_data: Path, request: pytest.FixtureRequest
) -> None:
    data = measuring_data / name
    files = ("--train", data / "train.tsv", "--valid", data / "valid.tsv")
    is_whole = cell == "sru" and request.config.getoption("--long")  # gru takes five times as long
    few = () if is_whole else ("--epochs", "3")
    done = textrnn("train", "--cell", cell, *files, *few, timeout=1800)  # a machine may be busy
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(textrnn("evaluate", data / "test.tsv", "--json").stdout)
    assert found["accuracy"] >= least
    rows = [line.split("\t", 1) for line in (data / "test.tsv").read_text(encoding="utf-8").split("\n")[:-1]]
    predicted = textrnn("predict", stdin="".join(f"{text}\n" for _, text in rows).encode()).stdout.decode()
    labels = [line.split("\t")[0] for line in predicted.split("\n")[:-1]]
    assert len(labels) == len(rows)
    assert sum(label == true for label, (true, _) in zip(labels, rows, strict=True)) == found["correct"]
