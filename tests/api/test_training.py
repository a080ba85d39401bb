"""``textrnn.train``: the same models as the command trains, from files and from memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textrnn
from command import run_command
from samples import Recorder, write_rows
from textrnn.errors import ConfigError, DataError
from textrnn.serialization.model_file import load_model

SETTINGS: dict[str, Any] = {
    **{"model__hidden": 8, "model__embedding": 8, "model__layers": 1, "train__epochs": 1, "train__seed": 3},
    **{"tokenizer__vocab_size": 60, "train__batch_size": 16},
}


def read_rows(path: Path) -> tuple[list[str], list[str]]:
    rows = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return [text for _, text in rows], [label for label, _ in rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.tsv, and in run the model that the command trains on it."""
    folder = tmp_path_factory.mktemp("memory")
    write_rows(folder / "rows.tsv")
    options = [word for key, value in SETTINGS.items() for word in ("--set", f"{key.replace('__', '.')}={value}")]
    done = run_command("train", "--train", "rows.tsv", "--valid", "rows.tsv", "--out", "run", *options, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return folder


def test_a_file_gives_the_bytes_that_the_command_gives(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    textrnn.train("rows.tsv", valid="rows.tsv", **SETTINGS).save(tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").read_bytes() == (folder / "run/model.safetensors").read_bytes()


def test_texts_in_memory_give_the_same_weights(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts, labels = read_rows(folder / "rows.tsv")
    reporter = Recorder()
    model = textrnn.train(texts, labels, valid=(texts, labels), out="out", reporter=reporter, **SETTINGS)
    expected, found = load_model(folder / "run"), load_model(Path("out"))
    assert found.weights.keys() == expected.weights.keys()
    for name, weight in expected.weights.items():
        np.testing.assert_array_equal(found.weights[name], weight)
    assert (found.temperature, found.ngram_share) == (expected.temperature, expected.ngram_share)
    assert (model.config["data"]["train"], model.config["data"]["valid"]) == ("<memory>",) * 2
    assert "train: <memory>" in Path("out/config.yaml").read_text(encoding="utf-8")
    assert [record.epoch for record in reporter.records] == [1]
    assert not Path("runs").exists()
    page = model.evaluate(texts, labels)
    assert page == model.evaluate(folder / "rows.tsv")
    assert page.texts == len(texts)


@pytest.mark.parametrize("kind", [np.array, iter, "pandas"], ids=["array", "iterator", "pandas"])
def test_texts_and_labels_may_be_arrays_columns_and_iterators(folder: Path, kind: Any) -> None:
    make = pytest.importorskip(kind).Series if isinstance(kind, str) else kind
    model = textrnn.train(*map(make, read_rows(folder / "rows.tsv")), **SETTINGS)
    assert model.labels == ("coffee", "tea")
    assert model.metadata["thresholds"] is None


def test_faults_of_other_files_keep_their_names(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "vec.txt").write_text("tea 1 2 3\ngreen 1 2\n", encoding="utf-8")
    texts, labels = read_rows(folder / "rows.tsv")
    with pytest.raises(DataError, match=r"vec\.txt:2: "):
        textrnn.train(texts, labels, **SETTINGS, embedding__vectors=str(tmp_path / "vec.txt"))


def test_lists_of_labels_give_a_multi_label_model() -> None:
    texts = [f"{'tea' if i % 2 else 'coffee'} {'with milk ' * (i % 3)}{i}" for i in range(90)]
    labels = [["tea" if i % 2 else "coffee"] + ["milk"] * (i % 3 > 0) for i in range(90)]
    model = textrnn.train(texts, labels, **SETTINGS)
    assert model.labels == ("coffee", "milk", "tea")
    assert model.metadata["thresholds"] is not None
    assert model.evaluate(texts, labels, threshold=0.5).texts == 90


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "message"),
    [
        ((["a"],), {}, TypeError, "labels are missing"),
        ((["a", "b"], ["x", "y"]), {"train__epoch": 1}, ConfigError, "train__epoch=1: train.epoch: unknown key"),
        ((["a", "b"], ["x", "y"]), {"data__format": "csv"}, ConfigError, "data.format follows from texts and labels"),
        ((["a", "b"], ["x", "y"]), {"data__train": "x.tsv"}, ConfigError, "data.train follows from texts and labels"),
        ((["a", "b"], ["x", "y"]), {}, DataError, "^texts: too few texts to hold out a validation set"),
        (("nowhere.tsv",), {}, DataError, "nowhere.tsv: no such file"),
        (("nowhere.tsv", ["x"]), {}, TypeError, "labels: the file 'nowhere.tsv' has its own"),
        (("nowhere.tsv",), {"valid": (["a"], ["x"])}, TypeError, "valid: texts is a file, so name a file here too"),
        ((["a"], ["x"]), {"valid": "v.tsv"}, TypeError, "valid: texts are in memory"),
    ],
)
def test_faults(arguments: Any, settings: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        textrnn.train(*arguments, **settings)


@pytest.fixture(scope="module")
def drinks() -> list[str]:
    return [f"{drink} number {n}" for n in range(60) for drink in ("green tea", "black coffee")]


def test_distributions_are_learned(drinks: list[str]) -> None:
    labels = [{"tea": 0.7, "coffee": 0.3} if text.startswith("green") else "coffee" for text in drinks]
    model = textrnn.train(drinks, labels, **SETTINGS | {"train__epochs": 8, "train__lr": 0.02})
    p = model.predict_proba(["green tea number 7", "black coffee number 7"])[:, model.labels.index("coffee")]
    assert p[0] == pytest.approx(0.3, abs=0.12)
    assert p[1] > 0.8


def test_texts_without_weight_are_not_learned(drinks: list[str]) -> None:
    labels = ["tea" if text.startswith("green") else "coffee" for text in drinks]
    wrong = ["coffee" if label == "tea" else "tea" for label in labels]
    weights = np.repeat([1.0, 0.0], len(drinks))
    pair = (drinks, labels)
    model = textrnn.train(drinks * 2, labels + wrong, weights=weights, valid=pair, **SETTINGS | {"train__epochs": 5})
    assert model.evaluate(*pair).accuracy > 0.95
    assert model.config["data"]["weight"] is None


@pytest.mark.parametrize(
    ("labels", "weights", "reason"),
    [
        ([{"a": 0.5}, "b"], None, r"labels\[0\]: the probabilities of the labels sum to 0.5"),
        (["a", {"b": -1, "a": 2}], None, r"labels\[1\]: 'b' is -1; it cannot be negative"),
        (["a", "b"], [1], "1 weight for 2 texts"),
        (["a", "b"], [1, -1], r"'weights\[1\]' is -1; it cannot be negative"),
        (["a", "b"], [1, float("nan")], r"'weights\[1\]' should be a number, not 'nan'"),
    ],
)
def test_bad_probabilities_and_weights_are_refused(labels: Any, weights: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        textrnn.train(["x", "y"], labels, weights=weights)
