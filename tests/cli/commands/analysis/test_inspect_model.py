"""``textrnn inspect``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from command import Run
from textrnn.serialization.model_file import load_model, save_model
from textrnn.tokenization.tokenizer import Tokenizer


def test_the_latest_run_by_default(trained: Path, invoke: Run) -> None:
    done = invoke("inspect", cwd=trained)
    page = done.stdout.decode()
    rows = {
        name: rest.strip()
        for name, _, rest in (line.partition("  ") for line in page.partition("\npart ")[0].splitlines())
    }
    assert (done.returncode, done.stderr) == (0, b"")
    assert rows["file"] == "runs/small/model.safetensors"
    assert rows["network"].startswith("2 bidirectional SRU layers, hidden size 8, embedding size 16, ")
    assert rows["labels"] == "2: coffee, tea"
    assert rows["tokenizer"].startswith("unigram, 43 pieces, nmt_nfkc normalization")
    assert "best epoch" in rows["training"]
    assert rows["command"].startswith("textrnn train --train rows.tsv")
    shares = [float(line.split()[-2]) for line in page.partition("share\n")[2].splitlines()]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_json_has_the_same_by_either_name(trained: Path, invoke: Run) -> None:
    done = invoke("inspect", "--json", "-m", "runs/small", cwd=trained)
    assert done.stdout == invoke("inspect", "--json", "runs/small", cwd=trained).stdout
    found = json.loads(done.stdout)
    assert found["config"]["model"]["hidden"] == found["network"]["hidden"] == 8
    assert found["tokenizer"]["pieces"] == 43


def test_multi_label_models_have_thresholds(trained_multi_label: Path, invoke: Run) -> None:
    page = invoke("inspect", cwd=trained_multi_label).stdout.decode()
    assert "4, multi-label: delivery, praise, quality, refund" in page
    assert "\nthresholds " in page


def test_a_starter_has_no_labels(trained: Path, tmp_path: Path, invoke: Run) -> None:
    model = load_model(trained / "runs/small")
    weights = {name: value[:0] if name.startswith("head.") else value for name, value in model.weights.items()}
    starter = replace(model, labels=(), weights=weights, ngrams=None, cascade=None, validation=None)
    save_model(tmp_path / "starter.safetensors", starter)
    done = invoke("inspect", "starter.safetensors")
    assert done.returncode == 0
    assert b"labels        none: a starter for textrnn train --init" in done.stdout


def test_a_tokenizer_alone(tokenizer: Tokenizer, tmp_path: Path, invoke: Run) -> None:
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    digest = hashlib.sha256(tokenizer.model).hexdigest()
    page = invoke("inspect", "t.model").stdout.decode().splitlines()
    assert page[2].split() == ["sha256", digest]
    assert page[3].endswith(f"unigram, {len(tokenizer):,} pieces, nmt_nfkc normalization, no byte fallback")
    found = json.loads(invoke("inspect", "--json", "-m", "t.model").stdout)
    assert (found["file"], found["sha256"], found["type"]) == ("t.model", digest, "unigram")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("none", 1, "none: no such model file or run folder"),
        ("text.model", 1, "text.model: not a SentencePiece model"),
        ("text", 1, "text: not a textrnn model, or cut short"),
        ("a -m b", 2, "-m b: a is given already; keep one"),
        ("", 1, "runs/latest: no model was trained in this folder"),
    ],
)
def test_faults(arguments: str, status: int, message: str, tmp_path: Path, invoke: Run) -> None:
    for name in ("text", "text.model"):
        (tmp_path / name).write_text("tea\n", encoding="utf-8")
    done = invoke("inspect", *arguments.split())
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (status, b"", 1)
    assert done.stderr.decode().startswith(f"textrnn: {message}")
