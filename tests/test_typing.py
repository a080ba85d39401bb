"""The types of the public names: a program that uses them passes mypy --strict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import textrnn

PROGRAM = """
from pathlib import Path

import numpy as np
import numpy.typing as npt

import textrnn
from textrnn import fasttext
from textrnn.sklearn import TextRNNClassifier


def label(model: textrnn.Model, texts: list[str]) -> list[str]:
    found: list[list[textrnn.Prediction]] = model.predict(texts, top_k=1)
    return [row[0].label for row in found]


def run(folder: Path) -> None:
    model: textrnn.Model = textrnn.train(folder / "train.tsv", train__epochs=2, model__cell="gru")
    model.save(folder / "model.safetensors", storage="int8")
    model = textrnn.load(folder / "model.safetensors", precision="bf16")
    probabilities: npt.NDArray[np.float32] = model.predict_proba(["a"])
    vectors: npt.NDArray[np.float32] = model.embed(["a"])
    accuracy: float = model.evaluate(["a"], ["b"]).accuracy
    explanation: textrnn.Explanation = model.explain("a", label="b")
    effects = [part.effects[0] for part in explanation.parts]
    print(label(model, ["a"]), probabilities.shape, vectors.shape, accuracy, effects, model.words, model.map_fn("t"))
    classifier: TextRNNClassifier = TextRNNClassifier(hidden=8, settings={"train__batch_size": 4}).fit(["a"], ["b"])
    print(classifier.predict_proba(["a"]).dtype, classifier.predict(["a"]), classifier.model_.labels)
    other = fasttext.train_supervised(input=str(folder / "train.txt"), loss="ova", verbose=0)
    names, p = other.predict("a", k=2)
    many, rows = other.predict(["a", "b"])
    print(names[0].upper(), p.sum(), many[0], rows[0], other.test("t"), other.get_sentence_vector("a"), other.words)


try:
    run(Path("."))
except (textrnn.ModelError, textrnn.DataError, textrnn.ConfigError) as error:
    print(error)
"""
FAULTS = """
import textrnn
from textrnn import fasttext

textrnn.load(7)
textrnn.load("a", precision="fp7")
textrnn.load("a").predict(7)
fasttext.load_model("a").get_analogies("a", "b", "c")
fasttext.train_unsupervised("a")
"""


def check(program: str, folder: Path) -> list[str]:
    (folder / "program.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", "cache", "program.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert not done.stderr
    return [line for line in done.stdout.splitlines() if ": error: " in line]


@pytest.mark.long
def test_a_program_passes_strict_checks_and_its_faults_are_found(tmp_path: Path) -> None:
    assert check(PROGRAM, tmp_path) == []
    assert [line.split(":")[1] for line in check(FAULTS, tmp_path)] == ["5", "6", "7", "8", "9"], "unknown names too"


def test_the_marker_of_typed_packages_is_shipped() -> None:
    assert (Path(textrnn.__file__).parent / "py.typed").exists()
