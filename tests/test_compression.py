"""Compression: pruning, measurements of the written file, and limits of the loss of accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from samples import SENTENCES, make_config, make_model
from textrnn.compression import MAX_LOSS_RISE, SHARES, Compressor, Measured, Step, compress_model, prune
from textrnn.data.batch import pack
from textrnn.data.reading.examples import Example
from textrnn.errors import ModelError
from textrnn.inference.engine import Engine
from textrnn.models.cascade import Cascade
from textrnn.models.ngram.features import Spelling, hash_ngrams
from textrnn.models.ngram.table import NgramTable
from textrnn.serialization.model_file import SavedModel, load_model, parse_model, save_model
from textrnn.serialization.quantization import Storage
from textrnn.tokenization.tokenizer import Tokenizer

LABELS = ("a", "b", "c")
EXAMPLES = [Example(LABELS[i % 3], text, i + 1) for i, text in enumerate(SENTENCES)]


def make_table(tokenizer: Tokenizer, *, strong: float = 0.3) -> NgramTable:
    """Return a table in which all n-grams of a sentence support its label, a ``strong`` share of them more."""
    batch = pack(tokenizer.encode_all(SENTENCES, max_length=512))
    found, bounds = hash_ngrams(batch.ids, batch.offsets, Spelling.of(tokenizer))
    keys, first = np.unique(found, return_index=True)
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(len(keys), 3)) * 0.05
    loud = np.where(rng.random(len(keys)) < strong, 1.0, 0.1)
    weight[np.arange(len(keys)), (np.searchsorted(bounds, first, side="right") - 1) % 3] += loud
    parts = (1 + rng.random(len(keys)), weight, np.zeros(3))
    return NgramTable(keys, *[part.astype(np.float32) for part in parts])


@pytest.fixture
def model(tokenizer: Tokenizer) -> SavedModel:
    """A model that labels every sentence correctly by its n-grams."""
    config = make_config(model__hidden=16, model__embedding=24, model__pooling="max+mean")
    return replace(make_model(tokenizer, config), ngrams=make_table(tokenizer), ngram_share=0.9, temperature=0.8)


def make_compressor(model: SavedModel, folder: Path, examples: Sequence[Example] = EXAMPLES) -> Compressor:
    save_model(folder / "model.safetensors", model)
    return Compressor(folder / "model.safetensors", load_model(folder), examples)


def search(
    folder: Path, shares: Sequence[float] = SHARES, *, max_drop: float = 0.0, storage: Storage = "int8", **options: Any
) -> tuple[Step, list[float]]:
    """Compress the model in ``folder``, and return the result and the shares that were tried."""
    tried: list[float] = []
    step = compress_model(
        folder / "model.safetensors",
        load_model(folder),
        options.get("examples", EXAMPLES),
        storage=storage,
        shares=shares,
        max_drop=max_drop,
        report=lambda step: tried.append(step.share),
    )
    return step, tried


def test_the_weakest_ngrams_are_pruned() -> None:
    table = NgramTable(
        np.array([1, 2, 3, 4, 5], np.uint32),
        np.array([1, 2, 1, 8, 1], np.float32),
        np.array([[0, -3], [1, 1], [2, 0], [0.125, 0], [-2, 1]], np.float32),
        np.array([0.5, -0.5], np.float32),
    )  # idf * weight: 3, 2, 2, 1, 2
    for share, expected in [(1, [1, 2, 3, 4, 5]), (0.8, [1, 2, 3, 5]), (0.5, [1, 2, 3]), (0.4, [1, 2]), (0.001, [1])]:
        found = prune(table, share)
        assert found.keys.tolist() == expected
        rows = np.isin(table.keys, expected)
        for name in ("idf", "weight"):
            np.testing.assert_array_equal(getattr(found, name), getattr(table, name)[rows])
        np.testing.assert_array_equal(found.bias, table.bias)


@pytest.mark.parametrize("storage", ["float32", "bf16", "int8"])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_the_written_file_is_measured(model: SavedModel, tmp_path: Path, storage: str, share: float) -> None:
    compressor = make_compressor(model, tmp_path)
    step = compressor.compress(storage, share)  # type: ignore[arg-type]
    engines = (Engine(saved) for saved in (load_model(tmp_path), parse_model(step.content, name="small")))
    before, after = (np.exp(engine.predict_log_probabilities(SENTENCES)) for engine in engines)
    change = np.abs(before - after)
    assert step.mean_change == pytest.approx(change.mean())
    assert step.largest_change == pytest.approx(change.max())
    assert step.same_labels == (before.argmax(axis=1) == after.argmax(axis=1)).mean()
    assert step.before.size == (tmp_path / "model.safetensors").stat().st_size
    assert step.after.size == len(step.content)
    for measured, found in ((step.before, before), (step.after, after)):
        right = [LABELS[row.argmax()] == example.label for row, example in zip(found, EXAMPLES, strict=True)]
        assert measured.evaluation.correct == sum(right)
        probabilities = [row[LABELS.index(example.label)] for row, example in zip(found, EXAMPLES, strict=True)]
        assert measured.evaluation.loss == pytest.approx(-np.log(probabilities).mean(), rel=1e-5)
    assert step.loss_rise == step.after.evaluation.loss - step.before.evaluation.loss  # type: ignore[operator]
    assert model.ngrams is not None
    assert step.before.ngrams == len(model.ngrams.keys)
    assert step.after.ngrams == np.ceil(share * step.before.ngrams)
    assert compressor.compress(storage, share).content == step.content  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_pruned_ngrams_lose_the_margins_of_the_cascade(model: SavedModel, tmp_path: Path, share: float) -> None:
    cascade = Cascade(1.5, (0.5,), (0.99,))
    step = make_compressor(replace(model, cascade=cascade), tmp_path).compress("int8", share)
    assert parse_model(step.content, name="small").cascade == (cascade if share == 1 else None)


def test_stronger_compression_gives_smaller_files(model: SavedModel, tmp_path: Path) -> None:
    compressor = make_compressor(model, tmp_path)
    sizes = [compressor.compress("int8", share).after.size for share in SHARES]
    assert sizes == sorted(sizes, reverse=True)
    widths = [compressor.compress(storage, 1.0).after.size for storage in ("float32", "bf16", "int8")]  # type: ignore[arg-type]
    assert widths == sorted(widths, reverse=True)
    assert compressor.compress("float32", 1.0).content == (tmp_path / "model.safetensors").read_bytes()


def test_a_pruned_table_is_rescaled_to_the_logits_of_the_full_table(model: SavedModel, tmp_path: Path) -> None:
    step = make_compressor(model, tmp_path).compress("float32", 0.3)
    found, whole = parse_model(step.content, name="small").ngrams, model.ngrams
    assert found is not None
    assert whole is not None
    pruned = prune(whole, 0.3)
    ratio = found.weight / pruned.weight
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    assert ratio[0, 0] < 0.95
    batch = pack(model.tokenizer.encode_all(SENTENCES, max_length=512))
    expected, scaled, other = (
        table.forward(batch.ids, batch.offsets, Spelling.of(model.tokenizer))
        for table in (whole, found, replace(found, weight=found.weight * np.float32(1.01)))
    )
    nearest = np.square(scaled - expected).sum()
    assert nearest < np.square(other - expected).sum()
    assert nearest < 0.8 * np.square(scaled / ratio[0, 0] - expected).sum()


def test_the_smallest_model_that_is_good_enough_is_chosen(model: SavedModel, tmp_path: Path) -> None:
    compressor = make_compressor(model, tmp_path)
    assert compressor.before.quality == 1.0
    shares = [1.0, 0.6, 0.3, 0.02, 0.005]
    steps = {share: compressor.compress("int8", share) for share in shares}
    sound = [share for share in shares if steps[share].drop <= 0 and (steps[share].loss_rise or 0) <= MAX_LOSS_RISE]
    assert 0.005 not in sound  # otherwise the test shows nothing
    step, tried = search(tmp_path, shares)
    assert step.share == min(sound)
    assert step.content == steps[step.share].content
    assert tried == sorted(share for share in shares if share <= step.share)


def test_the_limit_is_in_points_of_accuracy(model: SavedModel, tmp_path: Path) -> None:
    compressor = make_compressor(model, tmp_path)
    step = compressor.compress("int8", 0.005)
    wrong = 6 - step.after.evaluation.correct
    assert wrong > 0
    assert step.drop == pytest.approx(100 * wrong / 6)
    with pytest.raises(ModelError) as caught:
        search(tmp_path, [0.005], max_drop=step.drop - 0.01)
    assert str(caught.value) == (
        f"{tmp_path / 'model.safetensors'}: nothing written: accuracy would fall by {step.drop:.2f} points, from "
        f"100.00 to {100 - step.drop:.2f} %; --max-drop allows {step.drop - 0.01:g}; "
        "try --storage bf16, more n-grams (--ngrams), or a higher --max-drop"
    )
    assert search(tmp_path, [0.005], max_drop=step.drop)[0].content == step.content


def test_a_higher_loss_keeps_more_ngrams(model: SavedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compressor = make_compressor(model, tmp_path)
    rise = compressor.compress("int8", 0.3).loss_rise
    assert rise is not None
    for limit, expected in ((rise - 1e-6, 1.0), (rise + 1e-6, 0.3)):
        monkeypatch.setattr("textrnn.compression.MAX_LOSS_RISE", limit)
        assert search(tmp_path, [1.0, 0.3], max_drop=100)[0].share == expected
        assert search(tmp_path, [0.3], max_drop=100)[0].share == 0.3  # for the mildest, only accuracy counts


def test_a_rising_loss_is_reported_if_milder_steps_are_not_smaller(
    model: SavedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = make_compressor(model, tmp_path).compress("int8", 1.0).content
    (tmp_path / "model.safetensors").write_bytes(content)
    again = Compressor(tmp_path / "model.safetensors", load_model(tmp_path), EXAMPLES)
    rise = again.compress("int8", 0.3).loss_rise
    assert rise is not None
    monkeypatch.setattr("textrnn.compression.MAX_LOSS_RISE", rise - 1e-3)
    with pytest.raises(ModelError) as caught:
        search(tmp_path, [1.0, 0.3], max_drop=100)
    assert str(caught.value) == (
        f"{tmp_path / 'model.safetensors'}: nothing written: the loss would rise by {rise:.4f}, above the limit of "
        f"{rise - 1e-3:g}; --ngrams 0.3 accepts it"
    )
    assert search(tmp_path, [0.3], max_drop=100)[0].share == 0.3  # as the message says


def test_a_drop_equal_to_the_limit_is_accepted(model: SavedModel, tmp_path: Path) -> None:
    engine = Engine(parse_model(make_compressor(model, tmp_path).compress("int8", 0.005).content, name="small"))
    found = [predictions[0].label for predictions in engine.predict(SENTENCES)]
    correct = [label == example.label for label, example in zip(found, EXAMPLES, strict=True)]
    right, wrong = (EXAMPLES[correct.index(value)] for value in (True, False))
    examples = [right] * 7 + [wrong] * 3
    compressor = make_compressor(model, tmp_path, examples)
    assert compressor.compress("int8", 0.005).drop > 30  # only by rounding of 1.0 - 0.7
    assert search(tmp_path, [0.005], max_drop=30, examples=examples)[0].share == 0.005
    with pytest.raises(ModelError, match=r"fall by 30\.00 points"):
        search(tmp_path, [0.005], max_drop=30 - 1e-6, examples=examples)


def test_a_model_that_would_not_shrink_is_refused(model: SavedModel, tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", model)
    with pytest.raises(ModelError, match="would not become smaller"):
        search(tmp_path, [1.0], max_drop=100, storage="float32")


def test_a_compressed_model_can_be_compressed_again(model: SavedModel, tmp_path: Path) -> None:
    content = make_compressor(model, tmp_path).compress("int8", 1.0).content
    (tmp_path / "model.safetensors").write_bytes(content)
    again = Compressor(tmp_path / "model.safetensors", load_model(tmp_path), EXAMPLES)
    assert again.before.size == len(content)
    assert search(tmp_path, [0.3], max_drop=100)[0].after.size < len(content)
    with pytest.raises(ModelError, match="would not become smaller"):
        search(tmp_path, [1.0], max_drop=100, storage="bf16")


def test_a_model_without_ngrams_is_only_quantized(model: SavedModel, tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", replace(model, ngrams=None, ngram_share=0.0))
    step, tried = search(tmp_path, max_drop=100)
    assert (step.share, tried) == (1.0, [1.0])
    assert (step.before.ngrams, step.after.ngrams) == (0, 0)
    assert step.after.size < step.before.size


def test_a_multi_label_model_is_measured_by_micro_f1(model: SavedModel, tmp_path: Path) -> None:
    data = model.config.data.model_copy(update={"multi_label": True})
    config = model.config.model_copy(update={"data": data})
    several = replace(model, config=config, thresholds=(0.6, 0.6, 0.6))
    examples = [*EXAMPLES[:-1], Example("", SENTENCES[-1], 6)]
    compressor = make_compressor(several, tmp_path, examples)
    step = compressor.compress("int8", 0.005)
    found = compressor.before.evaluation.to_dict()
    assert compressor.before.quality == found["micro_f1"]
    assert step.drop == 100 * (found["micro_f1"] - step.after.evaluation.to_dict()["micro_f1"])
    engines = (Engine(saved) for saved in (load_model(tmp_path), parse_model(step.content, name="small")))
    before, after = (np.exp(engine.predict_log_probabilities(SENTENCES)) >= 0.6 for engine in engines)
    assert step.same_labels == (before == after).all(axis=1).mean() < 1
    with pytest.raises(ModelError, match="micro F1 would fall"):
        search(tmp_path, [0.005], examples=examples)


def test_texts_without_a_known_label_have_no_loss(model: SavedModel, tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", model)
    step, _ = search(tmp_path, examples=[Example("other", SENTENCES[0], 1)])
    assert step.loss_rise is None


@pytest.mark.parametrize(
    ("quality", "supports", "baseline", "beats"),
    [
        (0.229, [23, 40, 37], 0.4, False),
        (0.45, [23, 40, 37], 0.4, False),  # within two standard errors
        (0.55, [23, 40, 37], 0.4, True),
        (1.0, [50, 50], 0.5, True),
        (1.0, [100, 0], 1.0, False),  # one label measures nothing
        (0.7, [60, 30, 30], 120 / 220, True),  # 120 labels of 100 texts: micro F1
    ],
)
def test_the_baseline_predicts_the_most_frequent_label(
    quality: float, supports: list[int], baseline: float, beats: bool
) -> None:
    classes = [SimpleNamespace(label=str(i), support=support) for i, support in enumerate(supports)]
    found: Any = SimpleNamespace(texts=100, classes=classes, accuracy=quality)
    measured = Measured(1, 1, found)
    assert measured.baseline == (str(supports.index(max(supports))), pytest.approx(baseline))
    assert measured.beats_baseline is beats
