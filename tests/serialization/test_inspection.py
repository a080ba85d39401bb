"""Facts about model files."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from samples import make_config, make_model, read_metrics
from textrnn.errors import ModelError
from textrnn.serialization.inspection import inspect_model, is_tokenizer
from textrnn.serialization.model_file import format_model, load_model, save_model
from textrnn.tokenization.tokenizer import Tokenizer


def test_a_run_folder(trained: Path) -> None:
    folder = trained / "runs" / "small"
    facts, content = inspect_model(folder), (folder / "model.safetensors").read_bytes()
    assert (facts.size, facts.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert sum(facts.parts.values()) == len(content)
    assert list(facts.parts) == [
        "embedding",
        "layers",
        "pooling",
        "head",
        "n-grams",
        "tokenizer",
        "validation",
        "header",
    ]
    model = load_model(folder)
    assert facts.parts["tokenizer"] == facts.tokenizer.size == len(model.tokenizer.model)
    assert facts.parts["embedding"] == model.weights["embedding.weight"].nbytes
    assert facts.labels == ("coffee", "tea")
    metrics = read_metrics(folder)
    assert facts.training is not None
    assert facts.training.epochs == len(metrics)
    assert facts.training.seconds == pytest.approx(sum(record["seconds"] for record in metrics))
    assert facts.training.best == [record for record in metrics if record["best"]][-1]
    assert str(facts.training.command).startswith("textrnn train --train rows.tsv")


def test_a_file_alone_has_no_training(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "runs" / "small" / "model.safetensors", tmp_path)
    assert inspect_model(tmp_path / "model.safetensors").training is None


def test_parameters_and_parts_of_a_smaller_file(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = make_model(tokenizer, make_config(model__hidden=8, model__pooling="max"))
    save_model(tmp_path / "whole.safetensors", model)
    (tmp_path / "int8.safetensors").write_bytes(format_model(model, storage="int8"))
    whole, small = (inspect_model(tmp_path / f"{name}.safetensors") for name in ("whole", "int8"))
    assert whole.parameters == small.parameters == sum(array.size for array in model.weights.values())
    assert (whole.format_version, small.format_version) == (3, 4)
    assert small.parts["embedding"] < whole.parts["embedding"] / 3
    assert "pooling" not in whole.parts
    assert whole.ngrams is None


def test_damaged_metrics_are_named(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "runs" / "small", tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"metrics\.jsonl: not the metrics of a run"):
        inspect_model(tmp_path / "run")


def test_tokenizers_are_told_from_models(tokenizer: Tokenizer, trained: Path, tmp_path: Path) -> None:
    for name in ("t.model", "t.bin"):
        (tmp_path / name).write_bytes(tokenizer.model)
        assert is_tokenizer(tmp_path / name)
    shutil.copy(trained / "runs" / "small" / "model.safetensors", tmp_path / "m.bin")
    (tmp_path / "text").write_text("tea\n", encoding="utf-8")
    assert not any(is_tokenizer(tmp_path / name) for name in ("m.bin", "text", "none", "."))
