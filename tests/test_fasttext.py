"""fastText's module with models of textrnn: the shapes, errors and counts of fastText itself."""

from __future__ import annotations

import math
import random
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textrnn import ModelError, fasttext

Model = Any
TINY = {"model__hidden": 8, "model__embedding": 8, "train__epochs": 3, "tokenizer__vocab_size": 60}


@pytest.fixture
def model(trained: Path) -> Model:
    return fasttext.load_model(trained / "runs/small")


@pytest.fixture
def rows(trained: Path, tmp_path: Path) -> Path:
    """The first rows of the training set in fastText's format, some with a second label."""
    lines = [line.split("\t", 1) for line in (trained / "rows.tsv").read_text(encoding="utf-8").splitlines()[:40]]
    texts = [f"__label__{label} {'__label__water ' * (i % 9 == 0)}{text}\n" for i, (label, text) in enumerate(lines)]
    (tmp_path / "rows.txt").write_text("".join(texts), encoding="utf-8")
    return tmp_path / "rows.txt"


@pytest.fixture
def as_fasttext() -> Iterator[None]:
    names = ("fasttext", "fasttext.FastText")
    before = {name: sys.modules.get(name) for name in names}
    fasttext.install()
    yield
    for name, module in before.items():
        sys.modules.pop(name)
        if module is not None:
            sys.modules[name] = module


def test_a_text_gives_a_tuple_and_an_array(model: Model) -> None:
    labels, p = model.predict("green tea please")
    assert labels == ("__label__tea",)
    assert (p.dtype, p.shape) == (np.float64, (1,))
    labels, p = model.predict("green tea please", k=-1)
    assert labels == ("__label__tea", "__label__coffee")
    assert p.sum() == pytest.approx(1)
    assert model.predict("green tea please", k=5)[0] == labels
    labels, p = model.predict("green tea please", threshold=1.1)
    assert (labels, p.shape) == ((), (0,))


def test_a_list_gives_lists(model: Model) -> None:
    labels, p = model.predict(["green tea please", "black coffee"], k=2, threshold=0.4)
    assert [names[0] for names in labels] == ["__label__tea", "__label__coffee"]
    assert all(isinstance(names, list) and len(names) == len(row) for names, row in zip(labels, p, strict=True))
    assert model.predict([]) == ([], [])


@pytest.mark.parametrize(("arguments", "message"), [(("a\nb",), "one line at a time"), (("a", 0), "k needs to be 1")])
def test_faults(model: Model, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.predict(*arguments)


def test_labels(model: Model) -> None:
    assert model.labels == model.get_labels() == ["__label__coffee", "__label__tea"]
    with pytest.raises(ValueError, match="does not know how often"):
        model.get_labels(include_freq=True)


def test_counts_are_those_of_fasttext(model: Model, rows: Path) -> None:
    texts, precision, recall = model.test(str(rows))
    assert texts == 40
    assert (precision, recall) == (1.0, 40 / 45)
    assert model.test(str(rows), k=2) == (40, 40 / 80, 40 / 45)
    scores = model.test_label(str(rows))
    assert scores["__label__tea"] == {"precision": 1.0, "recall": 1.0, "f1score": 1.0}
    assert math.isnan(scores["__label__water"]["precision"])
    assert (scores["__label__water"]["recall"], scores["__label__water"]["f1score"]) == (0.0, 0.0)


def test_a_quantized_model_is_smaller(model: Model, tmp_path: Path) -> None:
    model.save_model(str(tmp_path / "whole"))
    assert not model.is_quantized()
    model.quantize()
    model.save_model(str(tmp_path / "small"))
    assert model.is_quantized()
    assert (tmp_path / "small").stat().st_size < (tmp_path / "whole").stat().st_size
    again = fasttext.load_model(tmp_path / "small")
    assert again.predict("green tea")[0] == ("__label__tea",)
    assert again.is_quantized()
    again.save_model(str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "small").read_bytes()
    assert not fasttext.load_model(tmp_path / "whole").is_quantized()


def test_a_model_of_fasttext_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes((793712314).to_bytes(4, "little") + bytes(100))
    with pytest.raises(ModelError, match=r"model\.bin: a model of fastText, which cannot be converted; train on"):
        fasttext.load_model(tmp_path / "model.bin")


def test_words_and_vectors(model: Model) -> None:
    vector = model.get_sentence_vector("green tea please")
    assert (vector.dtype, vector.shape) == (np.float32, (model.get_dimension(),))
    np.testing.assert_array_equal(vector, model.model.embed(["green tea please"])[0])
    np.testing.assert_array_equal(model["tea"], model.get_word_vector("tea"))
    assert model.words == model.get_words()
    assert all(word in model for word in model.words)
    assert "kettle" not in model
    with pytest.raises(ValueError, match="one line at a time"):
        model.get_sentence_vector("a\nb")
    with pytest.raises(ValueError, match="does not know how often"):
        model.get_words(include_freq=True)


def test_what_is_missing_says_so(model: Model) -> None:
    for name in ("get_nearest_neighbors", "get_input_matrix", "get_word_id", "get_line"):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=f"{name}: models of textrnn have no"):
            getattr(model, name)
    with pytest.raises(AttributeError, match="object has no attribute 'get_word'"):
        _ = model.get_word
    with pytest.raises(AttributeError, match="textrnn trains no word vectors"):
        _ = fasttext.train_unsupervised
    assert not hasattr(fasttext, "supervised")


def test_the_tutorial_of_fasttext(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several labels a line, as in its text; every call and option that it shows."""
    monkeypatch.chdir(tmp_path)
    kinds = {"baking": "bake bread", "equipment": "knife pan", "food-safety": "raw meat"}
    draw = random.Random(1)
    for name, count in (("train", 60), ("valid", 20)):
        chosen = [draw.sample(sorted(kinds), 1 + i % 2) for i in range(count)]
        lines = [
            " ".join([*(f"__label__{kind}" for kind in some), *(kinds[kind] for kind in some), str(i), "?"])
            for i, some in enumerate(chosen)
        ]
        Path(f"cooking.{name}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setattr(fasttext, "_warned", set())
    monkeypatch.setattr(fasttext, "train", partial(fasttext.train, **TINY))
    model = fasttext.train_supervised(input="cooking.train", verbose=0)
    model.save_model("model_cooking.bin")
    model = fasttext.load_model("model_cooking.bin")
    assert len(model.predict("Which baking dish is best to bake a banana bread ?")[0]) == 1
    assert len(model.predict("Why not put knives in the dishwasher?", k=5)[0]) == 3
    texts, precision, recall = model.test("cooking.valid")
    assert texts == 20
    assert 0 < recall < precision <= 1
    assert model.test("cooking.valid", k=5)[2] == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"lr": 0.5, "epoch": 25, "wordNgrams": 2, "bucket": 200000, "dim": 50, "verbose": 0}
        tuning = {"autotuneValidationFile": "cooking.valid", "autotuneDuration": 600, "autotuneModelSize": "2M"}
        hs = fasttext.train_supervised(input="cooking.train", loss="hs", **options, **tuning)
        ova = fasttext.train_supervised(input="cooking.train", loss="ova", **options)
        hs.quantize(input="cooking.train", retrain=True)
    labels, p = ova.predict("bake bread knife pan", k=-1, threshold=0.5)
    assert len(labels) == len(p) < 4
    assert ova.test("cooking.valid", k=-1, threshold=0.5)[0] == 20
    assert set(ova.test_label("cooking.valid")) <= set(ova.labels)
    assert hs.is_quantized()


def test_training_names_the_options_without_effect_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [f"__label__{'tea' if i % 2 else 'coffee'} {'tea' if i % 2 else 'coffee'} {i}\n" for i in range(60)]
    (tmp_path / "train.txt").write_text("".join(texts), encoding="utf-8")
    options: dict[str, Any] = {"input": str(tmp_path / "train.txt"), "lr": 0.5, "epoch": 25, "wordNgrams": 1, "seed": 7}
    with pytest.warns(UserWarning, match="no effect in textrnn, which has settings of its own: lr, epoch$"):
        model = fasttext.train_supervised(**options, verbose=0)
    assert capsys.readouterr().err == ""
    assert model.predict("tea 5")[0] == ("__label__tea",)
    assert model.model.config["train"]["seed"] == 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fasttext._warn(["lr", "epoch"])
    with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
        fasttext.train_supervised(**options, epochs=3)
    with pytest.raises(ValueError, match="labels have to begin with __label__"):
        fasttext.train_supervised(**options, label="#")


@pytest.mark.usefixtures("as_fasttext")
def test_other_packages_import_it_as_fasttext(trained: Path) -> None:
    import fasttext as imported  # noqa: PLC0415
    from fasttext.FastText import _FastText  # noqa: PLC0415

    assert imported.load_model is fasttext.load_model
    assert _FastText(str(trained / "runs/small")).labels == ["__label__coffee", "__label__tea"]


@pytest.mark.usefixtures("as_fasttext")
def test_the_filter_of_datatrove_runs_unchanged(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filters = pytest.importorskip("datatrove.pipeline.filters")
    from datatrove.data import Document  # noqa: PLC0415

    own = filters.FastTextClassifierFilter
    monkeypatch.setattr(own, "_requires_dependencies", ["fasteners"])  # it asks for a distribution of fastText
    path = str(trained / "runs/small/model.safetensors")
    step = own(path, keep_labels=("tea", 0.5))
    texts = [f"{'green tea' if i % 3 else 'black coffee'} {i}" for i in range(1000)]
    kept = list(step.run(Document(text=text, id=str(i)) for i, text in enumerate(texts)))
    expected = fasttext.load_model(path).model.predict(texts)
    assert [doc.id for doc in kept] == [str(i) for i, found in enumerate(expected) if found[0].label == "tea"]
    assert 500 < len(kept) < 800
    assert kept[0].metadata["__label__tea"] > 0.5
