"""A smaller model: what goes, that it is measured as it is written, and that it is never worse than was allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samples import SENTENCES, make_config, make_model
from textrnn.compression import MAX_RISE, SHARES, Optimiser, Step, prune
from textrnn.data.batch import pack
from textrnn.data.formats import Example
from textrnn.errors import ModelError
from textrnn.inference.engine import Engine
from textrnn.models.ngram.features import Spelling, hash_ngrams
from textrnn.models.ngram.table import NgramTable
from textrnn.serialization.model_file import SavedModel, load_model, save_model
from textrnn.tokenization.tokenizer import Tokenizer

LABELS = ("a", "b", "c")
EXAMPLES = [Example(LABELS[i % 3], text, i + 1) for i, text in enumerate(SENTENCES)]


def make_table(tokenizer: Tokenizer, *, strong: float = 0.3) -> NgramTable:
    """A table that knows the sentences: each says its label by all its n-grams, a ``strong`` share of them louder."""
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
    """A model that gives every sentence its label, by its n-grams."""
    config = make_config(model__hidden=16, model__embedding=24, model__pooling="max+mean")
    return replace(make_model(tokenizer, config), ngrams=make_table(tokenizer), ngram_share=0.9, temperature=0.8)


def make_optimiser(model: SavedModel, path: Path, examples: Sequence[Example] = EXAMPLES) -> Optimiser:
    save_model(path / "model.safetensors", model)
    return Optimiser(path / "model.safetensors", load_model(path), examples)


def search(
    optimizer: Optimiser, shares: Sequence[float] = SHARES, *, max_drop: float = 0.0
) -> tuple[Step, list[float]]:
    tried: list[float] = []
    step = optimizer.search("int8", shares, max_drop=max_drop, tell=lambda step: tried.append(step.share))
    return step, tried


def test_what_says_least_goes() -> None:
    table = NgramTable(
        np.array([1, 2, 3, 4, 5], np.uint32),
        np.array([1, 2, 1, 8, 1], np.float32),
        np.array([[0, -3], [1, 1], [2, 0], [0.125, 0], [-2, 1]], np.float32),
        np.array([0.5, -0.5], np.float32),
    )  # idf * weight: 3, 2, 2, 1, 2
    for share, wanted in [(1, [1, 2, 3, 4, 5]), (0.8, [1, 2, 3, 5]), (0.5, [1, 2, 3]), (0.4, [1, 2]), (0.001, [1])]:
        found = prune(table, share)
        assert found.keys.tolist() == wanted
        rows = np.isin(table.keys, wanted)
        for name in ("idf", "weight"):
            np.testing.assert_array_equal(getattr(found, name), getattr(table, name)[rows])
        np.testing.assert_array_equal(found.bias, table.bias)


@pytest.mark.parametrize("storage", ["float32", "bf16", "int8"])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_what_is_measured_is_what_is_written(model: SavedModel, tmp_path: Path, storage: str, share: float) -> None:
    optimizer = make_optimiser(model, tmp_path)
    step = optimizer.take(storage, share)  # type: ignore[arg-type]
    path = tmp_path / "small.safetensors"
    path.write_bytes(step.content)
    before, after = (np.exp(Engine.load(p).predict_log_probabilities(SENTENCES)) for p in (tmp_path, path))
    change = np.abs(before - after)
    assert step.mean_change == pytest.approx(change.mean())
    assert step.largest_change == pytest.approx(change.max())
    assert step.same_labels == (before.argmax(axis=1) == after.argmax(axis=1)).mean()
    assert step.before.size == (tmp_path / "model.safetensors").stat().st_size
    assert step.after.size == path.stat().st_size
    for measured, found in ((step.before, before), (step.after, after)):
        right = [LABELS[row.argmax()] == example.label for row, example in zip(found, EXAMPLES, strict=True)]
        assert measured.evaluation.correct == sum(right)
        said = [row[LABELS.index(example.label)] for row, example in zip(found, EXAMPLES, strict=True)]
        assert measured.evaluation.loss == pytest.approx(-np.log(said).mean(), rel=1e-5)
    assert step.loss_rise == step.after.evaluation.loss - step.before.evaluation.loss  # type: ignore[operator]
    assert model.ngrams is not None
    assert step.before.ngrams == len(model.ngrams.keys)
    assert step.after.ngrams == np.ceil(share * step.before.ngrams)
    assert optimizer.take(storage, share).content == step.content  # type: ignore[arg-type]


def test_less_is_kept_in_less_room(model: SavedModel, tmp_path: Path) -> None:
    optimizer = make_optimiser(model, tmp_path)
    sizes = [optimizer.take("int8", share).after.size for share in SHARES]
    assert sizes == sorted(sizes, reverse=True)
    widths = [optimizer.take(storage, 1.0).after.size for storage in ("float32", "bf16", "int8")]  # type: ignore[arg-type]
    assert widths == sorted(widths, reverse=True)
    assert optimizer.take("float32", 1.0).content == (tmp_path / "model.safetensors").read_bytes()


def test_what_is_left_is_scaled_to_the_scores_of_the_whole(model: SavedModel, tmp_path: Path) -> None:
    step = make_optimiser(model, tmp_path).take("float32", 0.3)
    path = tmp_path / "small.safetensors"
    path.write_bytes(step.content)
    found, whole = load_model(path).ngrams, model.ngrams
    assert found is not None
    assert whole is not None
    pruned = prune(whole, 0.3)
    ratio = found.weight / pruned.weight
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    assert ratio[0, 0] < 0.95
    batch = pack(model.tokenizer.encode_all(SENTENCES, max_length=512))
    wanted, scaled, other = (
        table.forward(batch.ids, batch.offsets, Spelling.of(model.tokenizer))
        for table in (whole, found, replace(found, weight=found.weight * np.float32(1.01)))
    )
    nearest = np.square(scaled - wanted).sum()
    assert nearest < np.square(other - wanted).sum()
    assert nearest < 0.8 * np.square(scaled / ratio[0, 0] - wanted).sum()


def test_the_smallest_that_is_as_good_is_taken(model: SavedModel, tmp_path: Path) -> None:
    optimizer = make_optimiser(model, tmp_path)
    assert optimizer.before.quality == 1.0
    shares = [1.0, 0.6, 0.3, 0.02, 0.005]
    steps = {share: optimizer.take("int8", share) for share in shares}
    sound = [share for share in shares if steps[share].drop <= 0 and (steps[share].loss_rise or 0) <= MAX_RISE]
    assert 0.005 not in sound  # or nothing is tested
    step, tried = search(optimizer, shares)
    assert step.share == min(sound)
    assert step.content == steps[step.share].content
    assert tried == sorted(share for share in shares if share <= step.share)


def test_points_of_the_bound_are_of_accuracy(model: SavedModel, tmp_path: Path) -> None:
    optimizer = make_optimiser(model, tmp_path)
    step = optimizer.take("int8", 0.005)
    wrong = 6 - step.after.evaluation.correct
    assert wrong > 0
    assert step.drop == pytest.approx(100 * wrong / 6)
    with pytest.raises(ModelError) as caught:
        search(optimizer, [0.005], max_drop=step.drop - 0.01)
    assert str(caught.value) == (
        f"{tmp_path / 'model.safetensors'}: accuracy would fall by {step.drop:.2f} points, from 100.00 to "
        f"{100 - step.drop:.2f} %, and --max-drop allows {step.drop - 0.01:g}; nothing is written; "
        "try --storage bf16, more n-grams (--ngrams), or a higher --max-drop"
    )
    assert search(optimizer, [0.005], max_drop=step.drop)[0].content == step.content


def test_a_higher_loss_is_reason_to_keep_more(
    model: SavedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer = make_optimiser(model, tmp_path)
    rise = optimizer.take("int8", 0.3).loss_rise
    assert rise is not None
    for limit, wanted in ((rise - 1e-6, 1.0), (rise + 1e-6, 0.3)):
        monkeypatch.setattr("textrnn.compression.MAX_RISE", limit)
        assert search(optimizer, [1.0, 0.3], max_drop=100)[0].share == wanted
        assert search(optimizer, [0.3], max_drop=100)[0].share == 0.3  # with nothing milder accuracy decides


def test_a_loss_that_rises_is_told_where_milder_steps_are_not_smaller(
    model: SavedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = make_optimiser(model, tmp_path).take("int8", 1.0).content
    (tmp_path / "model.safetensors").write_bytes(content)
    again = Optimiser(tmp_path / "model.safetensors", load_model(tmp_path), EXAMPLES)
    rise = again.take("int8", 0.3).loss_rise
    assert rise is not None
    monkeypatch.setattr("textrnn.compression.MAX_RISE", rise - 1e-3)
    with pytest.raises(ModelError) as caught:
        search(again, [1.0, 0.3], max_drop=100)
    assert str(caught.value) == (
        f"{tmp_path / 'model.safetensors'}: loss would rise by {rise:.4f}, and {rise - 1e-3:g} is allowed; "
        "nothing is written; --ngrams 0.3 takes it as it is"
    )
    assert search(again, [0.3], max_drop=100)[0].share == 0.3  # as it says


def test_a_drop_of_just_what_is_allowed_is_allowed(model: SavedModel, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    path.write_bytes(make_optimiser(model, tmp_path).take("int8", 0.005).content)
    said = [
        found[0].label == example.label
        for found, example in zip(Engine.load(path).predict(SENTENCES), EXAMPLES, strict=True)
    ]
    right, wrong = (EXAMPLES[said.index(value)] for value in (True, False))
    optimizer = make_optimiser(model, tmp_path, [right] * 7 + [wrong] * 3)
    assert optimizer.take("int8", 0.005).drop > 30  # by the rounding of 1.0 - 0.7 alone
    assert search(optimizer, [0.005], max_drop=30)[0].share == 0.005
    with pytest.raises(ModelError, match=r"fall by 30\.00 points"):
        search(optimizer, [0.005], max_drop=30 - 1e-6)


def test_what_would_not_be_smaller_is_refused(model: SavedModel, tmp_path: Path) -> None:
    optimizer = make_optimiser(model, tmp_path)
    with pytest.raises(ModelError, match="is not made smaller so"):
        optimizer.search("float32", [1.0], max_drop=100, tell=lambda step: pytest.fail("told"))


def test_a_smaller_model_can_be_made_smaller(model: SavedModel, tmp_path: Path) -> None:
    content = make_optimiser(model, tmp_path).take("int8", 1.0).content
    (tmp_path / "model.safetensors").write_bytes(content)
    again = Optimiser(tmp_path / "model.safetensors", load_model(tmp_path), EXAMPLES)
    assert again.before.size == len(content)
    assert search(again, [0.3], max_drop=100)[0].after.size < len(content)
    with pytest.raises(ModelError, match="is not made smaller so"):
        again.search("bf16", [1.0], max_drop=100, tell=lambda step: None)


def test_a_model_without_ngrams_has_one_step(model: SavedModel, tmp_path: Path) -> None:
    optimizer = make_optimiser(replace(model, ngrams=None, ngram_share=0.0), tmp_path)
    step, tried = search(optimizer, max_drop=100)
    assert (step.share, tried) == (1.0, [1.0])
    assert (step.before.ngrams, step.after.ngrams) == (0, 0)
    assert step.after.size < step.before.size


def test_several_labels_go_by_micro_f1_and_by_sets(model: SavedModel, tmp_path: Path) -> None:
    data = model.config.data.model_copy(update={"multi_label": True})
    config = model.config.model_copy(update={"data": data})
    several = replace(model, config=config, thresholds=(0.6, 0.6, 0.6))
    examples = [*EXAMPLES[:-1], Example("", SENTENCES[-1], 6)]
    optimizer = make_optimiser(several, tmp_path, examples)
    step = optimizer.take("int8", 0.005)
    found = optimizer.before.evaluation.to_dict()
    assert optimizer.before.quality == found["micro_f1"]
    assert step.drop == 100 * (found["micro_f1"] - step.after.evaluation.to_dict()["micro_f1"])
    path = tmp_path / "small.safetensors"
    path.write_bytes(step.content)
    before, after = (np.exp(Engine.load(p).predict_log_probabilities(SENTENCES)) >= 0.6 for p in (tmp_path, path))
    assert step.same_labels == (before == after).all(axis=1).mean() < 1
    with pytest.raises(ModelError, match="micro F1 would fall"):
        search(optimizer, [0.005])


def test_texts_without_a_known_label_have_no_loss(model: SavedModel, tmp_path: Path) -> None:
    step, _ = search(make_optimiser(model, tmp_path, [Example("other", SENTENCES[0], 1)]))
    assert step.loss_rise is None
