"""The model file: the same bytes, everything back, and no damaged or foreign file accepted."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from samples import make_config, make_model
from textrnn.config import Config
from textrnn.errors import ModelError
from textrnn.inference.engine import Engine
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
    save_model,
)
from textrnn.serialization.quantization import Storage
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.fixture
def saved(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    path = tmp_path / "model.safetensors"
    model = make_model(tokenizer, make_config(model__hidden=4, model__embedding=6), ("배송", "refund", "a b"))
    save_model(path, replace(model, temperature=1.625))
    return path


def without_ngrams(model: SavedModel) -> Config:
    """Return the config of ``model`` as that of a file that knows of no n-grams: trained again, it has none either."""
    assert model.config.ngrams.share == "auto"
    return Config.model_validate({**model.config.model_dump(), "ngrams": {"share": 0.0}})


SINCE_VERSION_2 = ("multi_label", "label_separator")


def rewrite(path: Path, change: Any) -> None:
    """Write the file anew with its tensors and header changed by ``change(tensors, header)``."""
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]["textrnn"])
    tensors = load_file(path)
    change(tensors, header)
    save_file(tensors, path, {"textrnn": json.dumps(header)})


def test_everything_comes_back(saved: Path, tokenizer: Tokenizer) -> None:
    config = make_config(model__hidden=4, model__embedding=6)
    model = load_model(saved)
    assert model.config == config
    assert model.labels == ("배송", "refund", "a b")
    assert model.tokenizer.model == tokenizer.model
    wanted = make_model(tokenizer, config).weights
    assert model.weights.keys() == wanted.keys()
    assert all(np.array_equal(model.weights[name], wanted[name]) for name in wanted)


def test_the_same_model_is_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "again.safetensors", load_model(saved))
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "max+mean", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_expected_shapes_are_those_of_the_network(
    cell: str, pooling: str, bidirectional: bool, layer_norm: bool
) -> None:
    config = make_config(
        model__cell=cell,
        model__pooling=pooling,
        model__bidirectional=bidirectional,
        model__layer_norm=layer_norm,
        model__hidden=4,
        model__embedding=8,
    )
    with torch.device("meta"):
        network = Classifier(11, 5, **config.model.model_dump())
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert expected_shapes(config, vocab_size=11, classes=5) == wanted


def test_a_run_folder_names_its_model(saved: Path, tmp_path: Path) -> None:
    assert find_model(tmp_path) == saved
    with pytest.raises(ModelError, match="no such model"):
        find_model(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"holds no model\.safetensors"):
        find_model(tmp_path / "empty")
    (tmp_path / "empty" / "checkpoint.safetensors").touch()
    with pytest.raises(ModelError, match="empty: was stopped before its first model; go on with: textrnn train --res"):
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
    with pytest.raises(ModelError, match=r"runs/first: holds no model"):
        find_model(POINTER)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "pipe", tmp_path / MODEL_NAME):  # by its name, and in a run folder
        os.mkfifo(path)
    reader, writer = os.pipe()  # as the shell's <(...)
    for path in (tmp_path / "pipe", tmp_path, Path(f"/dev/fd/{reader}"), Path(os.devnull)):
        with pytest.raises(ModelError, match=r": not a file; name a model file or a run folder$"):
            load_model(path)
    for end in (reader, writer):
        os.close(end)


def test_a_file_cut_anywhere_is_refused(saved: Path) -> None:
    content = saved.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
        saved.write_bytes(content[:length])
        with pytest.raises(ModelError, match=str(saved)):
            load_model(saved)


def test_a_pickle_is_refused_and_not_run(saved: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    saved.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="not a textrnn model"):
        load_model(saved)
    assert not (tmp_path / "exploded").exists()


def test_another_programs_safetensors_are_refused(saved: Path) -> None:
    save_file({"weight": np.zeros((2, 2), np.float32)}, saved, {"format": "pt"})
    with pytest.raises(ModelError, match="not a textrnn model"):
        load_model(saved)


def drop_head(tensors: Any, header: Any) -> None:
    del tensors["head.bias"]


def add_tensor(tensors: Any, header: Any) -> None:
    tensors["extra"] = np.zeros(3, np.float32)


def halve(tensors: Any, header: Any) -> None:
    tensors["head.weight"] = tensors["head.weight"].astype(np.float16)


def widen(tensors: Any, header: Any) -> None:
    header["config"]["model"]["hidden"] = 5


def break_tokenizer(tensors: Any, header: Any) -> None:
    tensors["tokenizer"] = np.frombuffer(b"no tokenizer", np.uint8)


def double_label(tensors: Any, header: Any) -> None:
    header["labels"] = ["a", "a", "b"]


def drop_labels(tensors: Any, header: Any) -> None:
    del header["labels"]


def add_key(tensors: Any, header: Any) -> None:
    header["config"]["model"]["future"] = 1


@pytest.mark.parametrize(
    "change", [drop_head, add_tensor, halve, widen, break_tokenizer, double_label, drop_labels, add_key]
)
def test_what_does_not_fit_together_is_refused(saved: Path, change: Any) -> None:
    rewrite(saved, change)
    with pytest.raises(ModelError, match="damaged"):
        load_model(saved)


def test_a_damaged_tokenizer_is_told_once(saved: Path) -> None:
    rewrite(saved, break_tokenizer)
    with pytest.raises(ModelError, match=rf"^{saved}: damaged: its tokenizer: not a SentencePiece model$"):
        load_model(saved)


def test_a_newer_format_is_named(saved: Path) -> None:
    def make_newer(tensors: Any, header: Any) -> None:
        header["format_version"] = 5

    rewrite(saved, make_newer)
    with pytest.raises(ModelError, match=r"format version 5, this textrnn reads 1 to 4; install a newer textrnn"):
        load_model(saved)


def test_a_model_of_version_1_is_read(saved: Path) -> None:
    """From before there were several labels, temperatures, and n-grams."""

    def age(tensors: Any, header: Any) -> None:
        assert header.keys() == {"format_version", "labels", "config", "temperature"}
        data = {key: value for key, value in header["config"]["data"].items() if key not in SINCE_VERSION_2}
        config = {**header["config"], "data": data}
        del config["ngrams"]
        header.clear()
        header.update({"format_version": 1, "labels": ["배송", "refund", "a b"], "config": config})

    wanted = load_model(saved)
    assert wanted.temperature == 1.625
    rewrite(saved, age)
    found = load_model(saved)
    assert (found.labels, found.thresholds) == (wanted.labels, None)
    assert found.config == without_ngrams(wanted)
    assert (found.temperature, found.ngrams, found.ngram_share) == (1.0, None, 0.0)


def test_a_model_of_version_2_is_read(several: Path) -> None:
    """From before there were temperatures, and n-grams."""

    def age(tensors: Any, header: Any) -> None:
        config = header["config"]
        del config["ngrams"]
        header.clear()
        header.update(
            {"format_version": 2, "labels": ["a", "b", "c"], "config": config, "thresholds": [0.5, 0.25, 1.0]}
        )

    wanted = without_ngrams(load_model(several))
    rewrite(several, age)
    found = load_model(several)
    assert (found.labels, found.thresholds, found.temperature) == (("a", "b", "c"), (0.5, 0.25, 1.0), 1.0)
    assert found.config == wanted


def test_a_temperature_comes_back(saved: Path) -> None:
    def look(tensors: Any, header: Any) -> None:
        assert header["format_version"] == 3
        assert header["temperature"] == 1.625

    rewrite(saved, look)
    model = load_model(saved)
    assert model.temperature == 1.625
    save_model(saved, replace(model, temperature=0.1234567890123456))
    assert load_model(saved).temperature == 0.1234567890123456
    save_model(saved, replace(model, temperature=2))  # a whole number is written as a float, too
    assert load_model(saved).temperature == 2.0


@pytest.mark.parametrize(
    "temperature", [None, 0.0, -1.5, float("nan"), float("inf"), -float("inf"), 1e-50, 1e50, "1.0", True, [1.0]]
)
def test_a_wrong_temperature_is_refused(saved: Path, temperature: Any) -> None:
    def spoil(tensors: Any, header: Any) -> None:
        header["temperature"] = temperature

    rewrite(saved, spoil)
    with pytest.raises(ModelError, match=r"damaged: the temperature is no number above 0\.0"):
        load_model(saved)


def test_version_3_has_a_temperature(saved: Path) -> None:
    def drop(tensors: Any, header: Any) -> None:
        del header["temperature"]

    rewrite(saved, drop)
    with pytest.raises(ModelError, match="damaged: 'temperature'"):
        load_model(saved)


@pytest.fixture
def several(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    path = tmp_path / "several.safetensors"
    config = make_config(model__hidden=4, model__embedding=6, data__multi_label=True)
    save_model(path, replace(make_model(tokenizer, config), thresholds=(0.5, 0.1234567890123, 1.0)))
    return path


def test_thresholds_come_back(several: Path) -> None:
    assert load_model(several).thresholds == (0.5, 0.1234567890123, 1.0)


@pytest.mark.parametrize(
    "thresholds", [None, [0.5, 0.5], [0.5] * 4, [0.5, 0.5, 1.5], [0.5, "x", 0.5], [float("nan")] * 3]
)
def test_wrong_thresholds_are_refused(several: Path, thresholds: Any) -> None:
    def spoil(tensors: Any, header: Any) -> None:
        header["thresholds"] = thresholds

    rewrite(several, spoil)
    with pytest.raises(ModelError, match=r"damaged: .*threshold"):
        load_model(several)


def test_a_config_of_several_labels_needs_thresholds(several: Path) -> None:
    def age(tensors: Any, header: Any) -> None:
        header["format_version"] = 1

    rewrite(several, age)
    with pytest.raises(ModelError, match="disagree on several labels"):
        load_model(several)


TABLE = NgramTable(
    np.array([3, 2**30 + 5, 2**31, 2**32 - 1], np.uint32),
    np.array([1.0, 2.5, np.float32(0.1), 3e-39], np.float32),
    np.array([[0.5, -0.0, 1e-45], [np.pi, 2.0, -3.0], [0, 1, 0], [1e38, -1e38, 0.1]], np.float32),
    np.array([-1.0, 0.25, np.float32(1 / 3)], np.float32),
)


@pytest.fixture
def with_ngrams(saved: Path) -> Path:
    save_model(saved, replace(load_model(saved), ngrams=TABLE, ngram_share=0.1234567890123456))
    return saved


def test_ngrams_come_back_bit_for_bit(with_ngrams: Path, tmp_path: Path) -> None:
    model = load_model(with_ngrams)
    assert model.ngrams is not None
    assert model.ngram_share == 0.1234567890123456
    for name in ("keys", "idf", "weight", "bias"):
        found, wanted = getattr(model.ngrams, name), getattr(TABLE, name)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        assert found.tobytes() == wanted.tobytes()
    assert not any(name.startswith("ngrams") for name in model.weights)
    again = tmp_path / "again.safetensors"
    save_model(again, model)
    assert again.read_bytes() == with_ngrams.read_bytes()
    # however a table lies in memory, and a share that is a whole number is written as a float too
    columns = replace(TABLE, weight=np.asfortranarray(TABLE.weight))
    save_model(again, replace(model, ngrams=columns))
    assert again.read_bytes() == with_ngrams.read_bytes()
    save_model(again, replace(model, ngram_share=1))
    assert load_model(again).ngram_share == 1.0


def test_without_ngrams_nothing_is_said_of_them(saved: Path) -> None:
    def look(tensors: Any, header: Any) -> None:
        assert "ngram_share" not in header
        assert not any(name.startswith("ngrams") for name in tensors)

    rewrite(saved, look)
    assert (load_model(saved).ngrams, load_model(saved).ngram_share) == (None, 0.0)


def drop(name: str) -> Any:
    def change(tensors: Any, header: Any) -> None:
        del tensors[f"ngrams.{name}"]

    return change


def put(name: str, value: Any) -> Any:
    def change(tensors: Any, header: Any) -> None:
        tensors[f"ngrams.{name}"] = value(tensors[f"ngrams.{name}"])

    return change


def with_entry(value: float) -> Any:
    def change(array: Any) -> Any:
        array = array.copy()
        array.reshape(-1)[-1] = value
        return array

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *((drop(name), rf"tensor 'ngrams\.{name}' is missing") for name in ("keys", "idf", "weight", "bias")),
        (put("keys", lambda x: x.astype(np.int32)), "keys of uint32"),
        (put("keys", lambda x: x.astype(np.uint64)), "keys of uint32"),
        (put("idf", lambda x: x.astype(np.float64)), "numbers of float32"),
        (put("weight", lambda x: np.zeros(x.shape, np.float16)), "numbers of float32"),
        (put("bias", lambda x: x.astype(np.int32)), "numbers of float32"),
        (put("keys", lambda x: x[::-1].copy()), "do not rise"),
        (put("keys", lambda x: np.repeat(x[:1], 4)), "do not rise"),
        (put("keys", lambda x: x[:3].copy()), "do not fit"),
        (put("keys", lambda x: x[:, None].copy()), "do not fit"),
        (put("keys", lambda x: np.array(x[0])), "do not fit"),
        (put("bias", lambda x: np.array(x[0])), "do not fit"),
        (put("idf", lambda x: np.append(x, x[:1])), "do not fit"),
        (put("weight", lambda x: x.T.copy()), "do not fit"),
        (put("weight", lambda x: x[:, :2].copy()), "do not fit"),
        (put("bias", lambda x: x[:2].copy()), "do not fit"),
        *((put(name, with_entry(np.nan)), "not finite") for name in ("idf", "weight", "bias")),
        *((put(name, with_entry(np.inf)), "not finite") for name in ("idf", "weight", "bias")),
    ],
)
def test_damaged_ngrams_are_refused(with_ngrams: Path, change: Any, message: str) -> None:
    rewrite(with_ngrams, change)
    with pytest.raises(ModelError, match=rf"{with_ngrams}: damaged: .*{message}"):
        load_model(with_ngrams)


def test_ngrams_of_another_number_of_labels_are_refused(with_ngrams: Path) -> None:
    def narrow(tensors: Any, header: Any) -> None:
        tensors["ngrams.weight"], tensors["ngrams.bias"] = TABLE.weight[:, :2].copy(), TABLE.bias[:2].copy()

    rewrite(with_ngrams, narrow)
    with pytest.raises(ModelError, match="damaged: the n-grams are of 2 labels, not 3"):
        load_model(with_ngrams)


def test_an_unknown_tensor_of_the_ngrams_is_refused(with_ngrams: Path) -> None:
    def add(tensors: Any, header: Any) -> None:
        tensors["ngrams.more"] = TABLE.idf

    rewrite(with_ngrams, add)
    with pytest.raises(ModelError, match=r"damaged: tensor 'ngrams\.more' is missing or unknown"):
        load_model(with_ngrams)


@pytest.mark.parametrize("share", [None, -0.1, 1.5, float("nan"), float("inf"), "auto", "0.5", 1, True, [0.5]])
def test_a_share_that_is_none_is_refused(with_ngrams: Path, share: Any) -> None:
    def spoil(tensors: Any, header: Any) -> None:
        header["ngram_share"] = share

    rewrite(with_ngrams, spoil)
    with pytest.raises(ModelError, match=r"damaged: the share of the n-grams is no number from 0\.0 to 1\.0"):
        load_model(with_ngrams)


def test_ngrams_without_a_share_are_refused(with_ngrams: Path) -> None:
    def lose(tensors: Any, header: Any) -> None:
        del header["ngram_share"]

    rewrite(with_ngrams, lose)
    with pytest.raises(ModelError, match="damaged: 'ngram_share'"):
        load_model(with_ngrams)


def test_weights_are_read_only_views_of_the_file(with_ngrams: Path) -> None:
    model = load_model(with_ngrams)
    assert model.ngrams is not None
    for array in (*model.weights.values(), model.ngrams.keys, model.ngrams.idf, model.ngrams.weight, model.ngrams.bias):
        assert not array.flags.owndata
        assert array.flags.aligned
        assert not array.flags.writeable


def test_a_model_outlives_its_name(with_ngrams: Path, tmp_path: Path) -> None:
    """A newer model that takes the name, as training writes it, is not what a reader sees that was there before."""
    engine = Engine.load(with_ngrams)
    before = engine.predict_logits(["the kettle boils", "refund"])
    model = load_model(with_ngrams)
    other = {name: array + 1 for name, array in model.weights.items()}
    save_model(with_ngrams, replace(model, weights=other))
    np.testing.assert_array_equal(engine.predict_logits(["the kettle boils", "refund"]), before)
    assert (Engine.load(with_ngrams).predict_logits(["refund"]) != before[1:]).any()


def test_a_file_that_lies_oddly_gives_the_same_scores(with_ngrams: Path, tmp_path: Path) -> None:
    content = with_ngrams.read_bytes()
    size = 8 + int.from_bytes(content[:8], "little")
    wanted = Engine.load(with_ngrams).predict_logits(["the kettle boils"])
    for shift in (1, 2, 6):
        odd = (size - 8 + shift).to_bytes(8, "little") + content[8:size] + b" " * shift + content[size:]
        with_ngrams.write_bytes(odd)
        np.testing.assert_array_equal(Engine.load(with_ngrams).predict_logits(["the kettle boils"]), wanted)


def test_a_file_that_goes_while_it_is_opened_is_told(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(path: Path) -> Path:
        shutil.move(path, f"{path}.gone")
        return path

    monkeypatch.setattr("textrnn.serialization.model_file.find_model", lose)
    with pytest.raises(ModelError, match=r"cannot be read \(No such file"):
        load_model(saved)


@pytest.fixture
def large(tokenizer: Tokenizer) -> SavedModel:
    """A model whose matrices are large enough for int8, with 40 n-grams."""
    rng = np.random.default_rng(3)
    config = make_config(model__hidden=16, model__embedding=24, model__cell="gru")
    keys = np.sort(rng.choice(2**32, 40, replace=False)).astype(np.uint32)
    parts = (rng.random(40) + 1, rng.standard_normal((40, 3)), rng.standard_normal(3))
    table = NgramTable(keys, *[part.astype(np.float32) for part in parts])
    return replace(make_model(tokenizer, config), ngrams=table, ngram_share=0.5)


NARROW = ("bf16", "int8")


@pytest.mark.parametrize("storage", NARROW)
def test_narrow_weights_come_back_wide(large: SavedModel, tmp_path: Path, storage: Storage) -> None:
    content, path = format_model(large, storage=storage), tmp_path / "narrow.safetensors"
    assert format_model(large, storage=storage) == content
    assert len(content) < len(format_model(large))
    path.write_bytes(content)
    found = load_model(path)
    assert (found.config, found.labels, found.temperature) == (large.config, large.labels, large.temperature)
    assert found.weights.keys() == large.weights.keys()
    assert found.ngrams is not None
    assert large.ngrams is not None
    pairs = [(found.weights[name], large.weights[name]) for name in large.weights]
    pairs += [(getattr(found.ngrams, name), getattr(large.ngrams, name)) for name in ("idf", "weight")]
    for array, wanted in pairs:
        assert (array.dtype, array.shape) == (np.float32, wanted.shape)
        np.testing.assert_allclose(array, wanted, rtol=0, atol=np.abs(wanted).max() / 200)
        matrix = wanted.ndim == 2 or len(wanted) == 40
        assert (array == wanted).all() != matrix  # what is small stays exact
    np.testing.assert_array_equal(found.ngrams.keys, large.ngrams.keys)
    np.testing.assert_array_equal(found.ngrams.bias, large.ngrams.bias)
    assert format_model(found, storage=storage)[:8] == content[:8]


@pytest.mark.parametrize(("storage", "version"), [("float32", 3), ("bf16", 4), ("int8", 4)])
def test_the_version_says_whether_there_is_anything_new(
    large: SavedModel, tmp_path: Path, storage: Storage, version: int
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(format_model(large, storage=storage))
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]["textrnn"])
    assert header["format_version"] == version
    save_model(path, load_model(path))  # read and written, it is float32
    assert load_file(path)["embedding.weight"].dtype == np.float32


def test_nothing_to_narrow_is_version_3(saved: Path) -> None:
    tiny = load_model(saved)
    small = {name: array for name, array in tiny.weights.items() if array.ndim != 2}
    assert format_model(replace(tiny, weights=small), storage="int8") == format_model(replace(tiny, weights=small))


def drop_scale(tensors: Any, header: Any) -> None:
    del tensors["embedding.weight.scale"]


def spoil_scale(tensors: Any, header: Any) -> None:
    tensors["embedding.weight.scale"] = np.full_like(tensors["embedding.weight.scale"], 3e38)


def lose_scale(tensors: Any, header: Any) -> None:
    tensors["embedding.weight.scale"] = np.full_like(tensors["embedding.weight.scale"], np.nan)


def reshape_scale(tensors: Any, header: Any) -> None:
    tensors["embedding.weight.scale"] = tensors["embedding.weight.scale"].reshape(-1)


def add_scale(tensors: Any, header: Any) -> None:
    tensors["head.bias.scale"] = np.ones(1, np.float32)


def narrow_keys(tensors: Any, header: Any) -> None:
    tensors["ngrams.keys"] = tensors["ngrams.keys"].astype(np.int8)


def halve_again(tensors: Any, header: Any) -> None:
    tensors["head.bias"] = tensors["head.bias"].astype(np.float16)


def cut_embedding(tensors: Any, header: Any) -> None:
    tensors["embedding.weight"] = tensors["embedding.weight"][:, :-1].copy()
    scale = tensors["embedding.weight.scale"]
    tensors["embedding.weight.scale"] = scale[:, : tensors["embedding.weight"].shape[1]].copy()


def widen_ngram_scale(tensors: Any, header: Any) -> None:
    tensors["ngrams.weight.scale"] = np.full((1, 3), 1e38, np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_scale, r"tensor 'embedding\.weight\.scale' is missing"),
        (spoil_scale, r"'embedding\.weight' holds what is not a number"),
        (lose_scale, r"'embedding\.weight' holds what is not a number"),
        (reshape_scale, "does not fit"),
        (add_scale, r"'head\.bias\.scale' is missing or unknown"),
        (narrow_keys, r"'ngrams\.keys\.scale' is missing"),
        (halve_again, "float16"),
        (cut_embedding, "not float32"),
        (widen_ngram_scale, "not finite, or too large"),
    ],
)
def test_damaged_narrow_weights_are_refused(large: SavedModel, tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "narrow.safetensors"
    path.write_bytes(format_model(large, storage="int8"))
    rewrite(path, change)
    with pytest.raises(ModelError, match=f"{path}: damaged: .*{message}"):
        load_model(path)


@pytest.mark.parametrize("storage", NARROW)
def test_older_versions_hold_nothing_narrow(large: SavedModel, storage: Storage) -> None:
    content = format_model(large, storage=storage)
    older = content.replace(b'\\"format_version\\": 4', b'\\"format_version\\": 3')
    assert older != content
    with pytest.raises(ModelError, match=r"^name: damaged: "):
        parse_model(older, name="name")


def test_no_changed_byte_of_a_narrow_file_ends_in_anything_but_a_model_error(large: SavedModel) -> None:
    content = format_model(large, storage="int8")
    size = 8 + int.from_bytes(content[:8], "little")
    rng = np.random.default_rng(1)
    for place in rng.choice(size, 300, replace=False).tolist():
        changed = content[:place] + bytes([content[place] ^ int(rng.integers(1, 256))]) + content[place + 1 :]
        with suppress(ModelError):
            parse_model(changed, name="changed")
