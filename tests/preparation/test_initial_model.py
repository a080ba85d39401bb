"""Training that begins with the weights and the tokenizer of another model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samples import make_config
from textrnn.errors import ConfigError, ModelError
from textrnn.inference.engine import Engine
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.initial_config import inherit_settings
from textrnn.serialization.model_file import load_model, save_model
from textrnn.training.model_setup import build_network, resolve_config


@pytest.fixture
def run(trained: Path) -> Path:
    return trained / "runs" / "small"


@pytest.fixture
def starter(run: Path, tmp_path: Path) -> Path:
    """Return the file of the trained model without its labels."""
    model = load_model(run)
    weights = {name: value[:0] if name.startswith("head.") else value for name, value in model.weights.items()}
    path = tmp_path / "starter.safetensors"
    save_model(path, replace(model, labels=(), weights=weights, ngrams=None, cascade=None))
    return path


def write_rows(folder: Path, *labels: str) -> str:
    path = folder / "new.tsv"
    path.write_text("".join(f"{label}\tsome text {label} {n}\n" for n in range(20) for label in labels), "utf-8")
    return str(path)


@pytest.mark.parametrize("kind", ["run", "starter"])
def test_a_network_begins_with_the_weights_of_an_initial_model(
    run: Path, starter: Path, tmp_path: Path, kind: str
) -> None:
    model = load_model(run)
    known = model.labels[0]
    path = starter if kind == "starter" else run
    config = make_config(data__train=write_rows(tmp_path, known, "brand new"), train__init=str(path))
    config = inherit_settings(config)
    dataset = load_dataset(config, Reporter())
    config = resolve_config(config, dataset)
    assert dataset.tokenizer.model == model.tokenizer.model
    assert config.model.hidden == model.config.model.hidden
    weights = build_network(config, dataset).export_weights()
    for name, value in model.weights.items():
        if not name.startswith("head."):
            np.testing.assert_array_equal(weights[name], value)
    row = dataset.labels.index(known)
    assert np.array_equal(weights["head.weight"][row], model.weights["head.weight"][0]) == (kind == "run")


def test_a_network_of_another_shape_cannot_begin_with_it(run: Path) -> None:
    config = make_config(train__init=str(run), model__hidden=77)
    with pytest.raises(ConfigError, match=r"model\.hidden: is 77"):
        inherit_settings(config)


def test_keys_that_an_initial_model_decides_are_refused(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokenizer\.model: cannot be combined with train\.init"):
        make_config(train__init=str(run), tokenizer__model="other.model")


def test_a_starter_cannot_predict(starter: Path) -> None:
    with pytest.raises(ModelError, match="a starter, which has no labels; train a model from it"):
        Engine.load(starter)


def test_a_training_takes_the_dropout_of_a_starter_unless_it_is_set(starter: Path, run: Path, tmp_path: Path) -> None:
    rows = write_rows(tmp_path, "a", "b")
    own, default = load_model(run).config.model.dropout, make_config().model.dropout
    assert own != default
    for path, values, expected in (
        (starter, {}, own),
        (starter, {"model__dropout": 0.25}, 0.25),
        (starter, {"model__dropout": default}, default),
        (run, {}, default),
    ):
        config = inherit_settings(make_config(data__train=rows, train__init=str(path), **values))
        assert resolve_config(config, load_dataset(config, Reporter())).model.dropout == expected
