"""The model file: identical bytes for the same model, a full round trip, and refusal of damaged or foreign files."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from samples import make_config, make_model
from textrnn.errors import ModelError
from textrnn.inference.engine import Engine
from textrnn.models.cascade import Cascade
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.table import NgramTable
from textrnn.reporter import Reporter
from textrnn.serialization.latest_run import POINTER, make_latest
from textrnn.serialization.model_file import (
    MODEL_NAME,
    SavedModel,
    expected_shapes,
    find_model,
    format_model,
    load_model,
    parse_model,
    save_confidence_thresholds,
    save_model,
)
from textrnn.serialization.quantization import Storage
from textrnn.tokenization.tokenizer import Tokenizer

Change = Callable[[dict[str, Any], dict[str, Any]], None]
"""Edits the tensors and the header of a model file in place."""

NO_NUMBERS = (-1.5, float("nan"), float("inf"), "0.5", True, [0.5])
"""Values that are no temperature, threshold or share."""


@pytest.fixture
def saved(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    path = tmp_path / "model.safetensors"
    model = make_model(tokenizer, make_config(model__hidden=4, model__embedding=6), ("배송", "refund", "a b"))
    save_model(path, replace(model, temperature=1.625))
    return path


def read_header(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["textrnn"])
    return header


def rewrite(path: Path, change: Change) -> None:
    tensors, header = load_file(path), read_header(path)
    change(tensors, header)
    save_file(tensors, path, {"textrnn": json.dumps(header)})


def put(key: str, value: Any) -> Change:
    return lambda tensors, header: header.update({key: value})


def drop(key: str) -> Change:
    def change(tensors: dict[str, Any], header: dict[str, Any]) -> None:
        del (header if key in header else tensors)[key]

    return change


def convert(name: str, function: Callable[[Any], Any]) -> Change:
    return lambda tensors, header: tensors.update({name: function(tensors[name])})


def test_a_saved_model_is_restored(saved: Path, tokenizer: Tokenizer) -> None:
    config = make_config(model__hidden=4, model__embedding=6)
    model = load_model(saved)
    assert model.config == config
    assert model.labels == ("배송", "refund", "a b")
    assert model.tokenizer.model == tokenizer.model
    expected = make_model(tokenizer, config).weights
    assert model.weights.keys() == expected.keys()
    assert all(np.array_equal(model.weights[name], expected[name]) for name in expected)


def test_saving_a_loaded_model_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "again.safetensors", load_model(saved))
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "max+mean", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_expected_shapes_are_those_of_the_network(
    cell: str, pooling: str, bidirectional: bool, layer_norm: bool
) -> None:
    kind = {"model__cell": cell, "model__pooling": pooling, "model__bidirectional": bidirectional}
    config = make_config(**kind, model__layer_norm=layer_norm, model__hidden=4, model__embedding=8)
    with torch.device("meta"):
        network = Classifier(11, 5, **config.model.model_dump())
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert expected_shapes(config, vocab_size=11, classes=5) == expected


def test_a_run_folder_names_its_model(saved: Path, tmp_path: Path) -> None:
    assert find_model(tmp_path) == saved
    with pytest.raises(ModelError, match="no such model"):
        find_model(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"contains no model\.safetensors"):
        find_model(tmp_path / "empty")
    (tmp_path / "empty" / "checkpoint.safetensors").touch()
    with pytest.raises(ModelError, match=r"empty: training stopped before .* textrnn train --resume"):
        find_model(tmp_path / "empty")


def test_the_pointer_to_the_latest_run_names_its_model(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    model = saved.rename(run / saved.name)
    make_latest(run, Reporter())
    assert find_model(Path("./runs/latest")).resolve() == model
    model.unlink()
    with pytest.raises(ModelError, match=r"runs/first: contains no model"):
        find_model(POINTER)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "pipe", tmp_path / MODEL_NAME):  # named directly, and inside a run folder
        os.mkfifo(path)
    reader, writer = os.pipe()  # as the shell's <(...)
    for path in (tmp_path / "pipe", tmp_path, Path(f"/dev/fd/{reader}"), Path(os.devnull)):
        with pytest.raises(ModelError, match="not a file"):
            load_model(path)
    for end in (reader, writer):
        os.close(end)


def test_a_file_cut_anywhere_is_refused(saved: Path) -> None:
    content = saved.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
        saved.write_bytes(content[:length])
        with pytest.raises(ModelError, match=str(saved)):
            load_model(saved)


def test_a_pickle_is_refused_and_not_executed(saved: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    saved.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="not a textrnn model"):
        load_model(saved)
    assert not (tmp_path / "exploded").exists()


def test_a_model_of_fasttext_says_how_to_train_again(tmp_path: Path) -> None:
    path = tmp_path / "real.bin"
    path.write_bytes(struct.pack("<ii", 793712314, 12) + bytes(100))
    with pytest.raises(ModelError, match=r"a model of fastText, .*textrnn train --train FILE"):
        load_model(path)


def test_safetensors_of_other_programs_are_refused(saved: Path) -> None:
    save_file({"weight": np.zeros((2, 2), np.float32)}, saved, {"format": "pt"})
    with pytest.raises(ModelError, match="not a textrnn model"):
        load_model(saved)


def change_config(key: str, value: int) -> Change:
    return lambda tensors, header: header["config"]["model"].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("head.bias"), r"'head\.bias' is missing or unexpected"),
        (drop("labels"), "labels"),
        (drop("temperature"), "temperature"),
        (lambda tensors, header: tensors.update(extra=np.zeros(3, np.float32)), "'extra' is missing or unexpected"),
        (change_config("future", 1), r"model\.future: unknown key"),
        (change_config("hidden", 5), "not float32"),
        (convert("head.weight", lambda x: x.astype(np.float16)), "float16"),
        (convert("tokenizer", lambda x: x[:12].copy()), r"its tokenizer: not a SentencePiece model\)"),
        (put("labels", ["a", "a", "b"]), "a label occurs twice"),
        *(
            (put("temperature", value), "the temperature is not a number")
            for value in [None, *NO_NUMBERS, 0.0, 1e-50, 1e50]
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(saved: Path, change: Change, message: str) -> None:
    rewrite(saved, change)
    with pytest.raises(ModelError, match=f"^{saved}: damaged .*{message}"):
        load_model(saved)


@pytest.mark.parametrize(
    ("version", "action"), [(1, "train it again"), (2, "train it again"), (5, "install a newer"), (None, "train it")]
)
def test_an_unsupported_format_version_is_refused_with_the_next_step(saved: Path, version: Any, action: str) -> None:
    rewrite(saved, put("format_version", version))
    with pytest.raises(ModelError, match=rf"format version {version}, but .* 3 and 4; {action}"):
        load_model(saved)


def test_a_model_from_before_long_texts_cuts_them(saved: Path) -> None:
    rewrite(saved, lambda _, header: header["config"]["data"].pop("long_texts"))
    assert load_model(saved).config.data.long_texts == "cut"
    assert make_config().data.long_texts != "cut"


def test_a_temperature_is_restored_exactly(saved: Path) -> None:
    model = load_model(saved)
    assert read_header(saved)["temperature"] == model.temperature == 1.625
    for temperature in (0.1234567890123456, 2):  # a whole number is written as a float, too
        save_model(saved, replace(model, temperature=temperature))
        assert load_model(saved).temperature == temperature


@pytest.fixture
def multi_label(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    path = tmp_path / "multi_label.safetensors"
    config = make_config(model__hidden=4, model__embedding=6, data__multi_label=True)
    save_model(path, replace(make_model(tokenizer, config), thresholds=(0.5, 0.1234567890123, 1.0)))
    return path


def test_thresholds_are_restored(multi_label: Path) -> None:
    assert load_model(multi_label).thresholds == (0.5, 0.1234567890123, 1.0)


@pytest.mark.parametrize("thresholds", [None, [0.5, 0.5], [0.5] * 4, *([0.5, 0.5, value] for value in NO_NUMBERS)])
def test_invalid_thresholds_are_refused(multi_label: Path, thresholds: Any) -> None:
    rewrite(multi_label, put("thresholds", thresholds))
    with pytest.raises(ModelError, match=r"damaged .*threshold"):
        load_model(multi_label)
    rewrite(multi_label, drop("thresholds"))
    with pytest.raises(ModelError, match="disagree on whether it is multi-label"):
        load_model(multi_label)


TABLE = NgramTable(
    np.array([3, 2**30 + 5, 2**31, 2**32 - 1], np.uint32),
    np.array([1.0, 2.5, np.float32(0.1), 3e-39], np.float32),
    np.array([[0.5, -0.0, 1e-45], [np.pi, 2.0, -3.0], [0, 1, 0], [1e38, -1e38, 0.1]], np.float32),
    np.array([-1.0, 0.25, np.float32(1 / 3)], np.float32),
)


CASCADE = Cascade(1.5, (0.0, 0.1, 3.0), (0.5, 0.75, 0.9990000000000001))


CASCADE_HEADER = {"temperature": 1.5, "margins": [0.0, 0.1], "agreements": [0.5, 0.75]}
BAD_CASCADES: list[dict[str, Any]] = [
    {"temperature": 0.0},
    {"margins": 1.0},
    {"margins": [0.0]},
    {"margins": [0.1, 0.1]},
    {"margins": [-1.0, 0.1]},
    {"margins": [0.1, float("inf")]},
    {"agreements": [0.75, 0.5]},
    {"agreements": [0.5, 1.5]},
    {"agreements": [0.5, "0.75"]},
]


@pytest.fixture
def with_ngrams(saved: Path) -> Path:
    save_model(saved, replace(load_model(saved), ngrams=TABLE, ngram_share=0.1234567890123456, cascade=CASCADE))
    return saved


def test_ngrams_are_restored_bit_for_bit(with_ngrams: Path, tmp_path: Path) -> None:
    model = load_model(with_ngrams)
    assert model.ngrams is not None
    assert model.ngram_share == 0.1234567890123456
    assert model.cascade == CASCADE
    for name in ("keys", "idf", "weight", "bias"):
        restored, original = getattr(model.ngrams, name), getattr(TABLE, name)
        assert (restored.dtype, restored.shape) == (original.dtype, original.shape)
        assert restored.tobytes() == original.tobytes()
    assert not any(name.startswith("ngrams") for name in model.weights)
    again = tmp_path / "again.safetensors"
    save_model(again, model)
    assert again.read_bytes() == with_ngrams.read_bytes()
    # memory layout does not matter, and a whole number as the share is written as a float
    columns = replace(TABLE, weight=np.asfortranarray(TABLE.weight))
    save_model(again, replace(model, ngrams=columns))
    assert again.read_bytes() == with_ngrams.read_bytes()
    save_model(again, replace(model, ngram_share=1))
    assert load_model(again).ngram_share == 1.0


def test_a_model_without_ngrams_stores_none(saved: Path) -> None:
    assert "ngram_share" not in read_header(saved)
    assert not any(name.startswith("ngrams") for name in load_file(saved))
    assert (load_model(saved).ngrams, load_model(saved).ngram_share) == (None, 0.0)


def test_a_file_of_an_earlier_version_has_no_cascade(with_ngrams: Path) -> None:
    rewrite(with_ngrams, drop("cascade"))
    model = load_model(with_ngrams)
    assert (model.cascade, model.ngram_share) == (None, 0.1234567890123456)


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_confidence_thresholds_are_written_into_the_file(with_ngrams: Path, storage: Storage) -> None:
    with_ngrams.write_bytes(format_model(load_model(with_ngrams), storage=storage))
    before, thresholds = load_file(with_ngrams), (0.5, math.inf, 0.0)
    save_confidence_thresholds(with_ngrams, thresholds)
    assert load_model(with_ngrams).confidence_thresholds == thresholds
    after = load_file(with_ngrams)
    assert {name: array.tobytes() for name, array in after.items()} == {n: a.tobytes() for n, a in before.items()}
    again = with_ngrams.with_name("again.safetensors")
    again.write_bytes(format_model(load_model(with_ngrams), storage=storage))
    assert load_model(again).confidence_thresholds == thresholds
    save_confidence_thresholds(with_ngrams, (0.25, 0.25, 1.0), max_error=0.05)
    assert load_model(with_ngrams).confidence_thresholds == (0.25, 0.25, 1.0)
    assert load_model(with_ngrams).confidence_max_error == 0.05


@pytest.mark.parametrize("value", [None, 0.5, [0.5], [0.5, 0.5, 1.5], [0.5, 0.5, "0.5"], [0.5, 0.5, float("nan")]])
def test_damaged_confidence_thresholds_are_refused(saved: Path, value: object) -> None:
    rewrite(saved, put("confidence_thresholds", value))
    with pytest.raises(ModelError, match=rf"{saved}: damaged .*confidence threshold"):
        load_model(saved)


def of_two_labels(tensors: dict[str, Any], header: dict[str, Any]) -> None:
    tensors["ngrams.weight"], tensors["ngrams.bias"] = TABLE.weight[:, :2].copy(), TABLE.bias[:2].copy()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(
            (drop(f"ngrams.{name}"), rf"tensor 'ngrams\.{name}' is missing")
            for name in ("keys", "idf", "weight", "bias")
        ),
        (convert("ngrams.keys", lambda x: x.astype(np.int32)), "keys of uint32"),
        (convert("ngrams.idf", lambda x: x.astype(np.float64)), "numbers of float32"),
        (convert("ngrams.keys", lambda x: x[::-1].copy()), "do not rise"),
        (convert("ngrams.bias", lambda x: x[:2].copy()), "do not fit"),
        (convert("ngrams.weight", lambda x: np.full_like(x, np.nan)), "not finite"),
        (of_two_labels, "the n-gram model has 2 labels, not 3"),
        (lambda tensors, header: tensors.update({"ngrams.more": TABLE.idf}), r"tensor 'ngrams\.more'"),
        (drop("ngram_share"), "'ngram_share'"),
        (put("cascade", [1.5]), "the cascade lacks a key"),
        (put("cascade", {"temperature": 1.5, "margins": []}), "the cascade lacks a key"),
        *((put("cascade", {**CASCADE_HEADER, **change}), "the cascade's") for change in BAD_CASCADES),
        *((put("ngram_share", value), "the share of the n-grams") for value in (None, *NO_NUMBERS, 1, 1.5, "auto")),
    ],
)
def test_damaged_ngrams_are_refused(with_ngrams: Path, change: Change, message: str) -> None:
    rewrite(with_ngrams, change)
    with pytest.raises(ModelError, match=rf"{with_ngrams}: damaged .*{message}"):
        load_model(with_ngrams)


def test_weights_are_read_only_views_of_the_file(with_ngrams: Path) -> None:
    model = load_model(with_ngrams)
    assert model.ngrams is not None
    for array in (*model.weights.values(), model.ngrams.keys, model.ngrams.idf, model.ngrams.weight, model.ngrams.bias):
        assert (array.flags.owndata, array.flags.aligned, array.flags.writeable) == (False, True, False)


def test_a_loaded_model_survives_the_replacement_of_its_file(with_ngrams: Path, tmp_path: Path) -> None:
    """Replacing the file, as training does, leaves a loaded model unchanged."""
    engine = Engine.load(with_ngrams)
    before = engine.predict_logits(["the kettle boils", "refund"])
    model = load_model(with_ngrams)
    other = {name: array + 1 for name, array in model.weights.items()}
    save_model(with_ngrams, replace(model, weights=other))
    np.testing.assert_array_equal(engine.predict_logits(["the kettle boils", "refund"]), before)
    assert (Engine.load(with_ngrams).predict_logits(["refund"]) != before[1:]).any()


def test_a_file_deleted_while_it_is_opened_is_reported(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(path: Path) -> Path:
        shutil.move(path, f"{path}.gone")
        return path

    monkeypatch.setattr("textrnn.serialization.model_file.find_model", lose)
    with pytest.raises(ModelError, match=r"cannot be read \(No such file"):
        load_model(saved)


@pytest.fixture
def large(tokenizer: Tokenizer) -> SavedModel:
    """A model with 40 n-grams and matrices large enough for int8."""
    rng = np.random.default_rng(3)
    config = make_config(model__hidden=16, model__embedding=24, model__cell="gru")
    keys = np.sort(rng.choice(2**32, 40, replace=False)).astype(np.uint32)
    parts = (rng.random(40) + 1, rng.standard_normal((40, 3)), rng.standard_normal(3))
    table = NgramTable(keys, *[part.astype(np.float32) for part in parts])
    return replace(make_model(tokenizer, config), ngrams=table, ngram_share=0.5)


@pytest.mark.parametrize("storage", ["bf16", "int8"])
def test_quantized_weights_are_restored_as_float32(large: SavedModel, tmp_path: Path, storage: Storage) -> None:
    content, path = format_model(large, storage=storage), tmp_path / "quantized.safetensors"
    assert format_model(large, storage=storage) == content
    assert len(content) < len(format_model(large))
    path.write_bytes(content)
    restored = load_model(path)
    assert (restored.config, restored.labels, restored.temperature) == (large.config, large.labels, large.temperature)
    assert restored.weights.keys() == large.weights.keys()
    assert restored.ngrams is not None
    assert large.ngrams is not None
    pairs = [(restored.weights[name], large.weights[name]) for name in large.weights]
    pairs += [(getattr(restored.ngrams, name), getattr(large.ngrams, name)) for name in ("idf", "weight")]
    for array, expected in pairs:
        assert (array.dtype, array.shape) == (np.float32, expected.shape)
        np.testing.assert_allclose(array, expected, rtol=0, atol=np.abs(expected).max() / 200)
        matrix = expected.ndim == 2 or len(expected) == 40
        assert (array == expected).all() != matrix  # small tensors stay exact
    np.testing.assert_array_equal(restored.ngrams.keys, large.ngrams.keys)
    np.testing.assert_array_equal(restored.ngrams.bias, large.ngrams.bias)
    assert format_model(restored, storage=storage)[:8] == content[:8]


@pytest.mark.parametrize(("storage", "version"), [("float32", 3), ("bf16", 4), ("int8", 4)])
def test_only_a_quantized_file_has_version_4(large: SavedModel, tmp_path: Path, storage: Storage, version: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(format_model(large, storage=storage))
    assert read_header(path)["format_version"] == version
    save_model(path, load_model(path))  # loading and saving makes it float32
    assert load_file(path)["embedding.weight"].dtype == np.float32


def test_a_model_without_matrices_is_never_quantized(saved: Path) -> None:
    tiny = load_model(saved)
    small = {name: array for name, array in tiny.weights.items() if array.ndim != 2}
    assert format_model(replace(tiny, weights=small), storage="int8") == format_model(replace(tiny, weights=small))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("embedding.weight.scale"), r"tensor 'embedding\.weight\.scale' is missing"),
        (
            convert("embedding.weight.scale", lambda x: np.full_like(x, 3e38)),
            r"'embedding\.weight' contains NaN or inf",
        ),
        (convert("embedding.weight.scale", lambda x: np.full_like(x, np.nan)), r"'embedding\.weight' contains NaN"),
        (convert("embedding.weight.scale", lambda x: x.reshape(-1)), "does not fit"),
        (
            lambda tensors, header: tensors.update({"head.bias.scale": np.ones(1, np.float32)}),
            r"'head\.bias\.scale' is",
        ),
        (convert("ngrams.keys", lambda x: x.astype(np.int8)), r"'ngrams\.keys\.scale' is missing"),
        (convert("head.bias", lambda x: x.astype(np.float16)), "float16"),
        (convert("embedding.weight", lambda x: x[:, :-1].copy()), "not float32"),
        (convert("ngrams.weight.scale", lambda x: np.full((1, 3), 1e38, np.float32)), "not finite, or too large"),
    ],
)
def test_damaged_quantized_weights_are_refused(large: SavedModel, tmp_path: Path, change: Change, message: str) -> None:
    path = tmp_path / "quantized.safetensors"
    path.write_bytes(format_model(large, storage="int8"))
    rewrite(path, change)
    with pytest.raises(ModelError, match=f"{path}: damaged .*{message}"):
        load_model(path)


@pytest.mark.parametrize("storage", ["bf16", "int8"])
def test_version_3_may_not_contain_quantized_tensors(large: SavedModel, storage: Storage) -> None:
    content = format_model(large, storage=storage)
    relabeled = content.replace(b'\\"format_version\\": 4', b'\\"format_version\\": 3')
    assert relabeled != content
    with pytest.raises(ModelError, match=r"^name: damaged "):
        parse_model(relabeled, name="name")


def test_a_corrupted_header_is_refused_or_gives_a_model_that_predicts(large: SavedModel) -> None:
    """No flipped bit of the header causes anything but a ModelError or a model with the expected tensors."""
    content = format_model(large, storage="int8")
    size = 8 + int.from_bytes(content[:8], "little")
    shapes = {name: array.shape for name, array in large.weights.items()}
    rng = np.random.default_rng(1)
    refused = 0
    for place in rng.choice(size, 1000, replace=False).tolist():
        changed = content[:place] + bytes([content[place] ^ 1 << int(rng.integers(8))]) + content[place + 1 :]
        try:
            model = parse_model(changed, name="changed")
        except ModelError:
            refused += 1
        else:
            assert {name: array.shape for name, array in model.weights.items()} == shapes
            assert np.isfinite(Engine(model).predict_logits(["the kettle boils"])).all()
    assert 300 < refused < 1000
