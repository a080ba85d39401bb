"""The numpy engine against the network in torch, for every kind of model."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from samples import SENTENCES, make_config, make_model
from textrnn.data.batch import PackedBatch, pack
from textrnn.data.windows import Windows
from textrnn.inference.engine import Engine
from textrnn.inference.network import NumpyNetwork
from textrnn.inference.pooling import Array
from textrnn.models.cascade import Cascade
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.features import Spelling, hash_ngrams
from textrnn.models.ngram.table import NgramTable
from textrnn.serialization.model_file import SavedModel
from textrnn.tokenization.tokenizer import Tokenizer

TOLERANCE = 1e-5  # of a log-probability: float32 rounding, in another order of additions

TEXTS = [*SENTENCES, "", " ", "the parcel " * 90, "\u2028\0"]
CUT = {"data__max_length": 40, "data__long_texts": "cut"}


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("embedding", [16, 20])
@pytest.mark.parametrize(
    ("pooling", "layer_norm"),
    [("max+mean", True), ("last", False), ("attention", True), ("max", False), ("mean", True)],
)
def test_equals_torch(
    tokenizer: Tokenizer, cell: str, bidirectional: bool, layers: int, embedding: int, pooling: str, layer_norm: bool
) -> None:
    shape = {"model__cell": cell, "model__bidirectional": bidirectional, "model__layers": layers, "model__hidden": 8}
    rest = {"model__embedding": embedding, "model__pooling": pooling, "model__layer_norm": layer_norm}
    config = make_config(**shape, **rest, model__highway_bias=-1.5, **CUT)
    model = replace(make_model(tokenizer, config), temperature=0.5 if bidirectional else 2.5)
    network = Classifier(len(tokenizer), 3, **config.model.model_dump()).eval()
    network.import_weights(model.weights)
    batch = pack(tokenizer.encode_all(TEXTS, max_length=40))
    logits = torch.from_numpy(network.predict_logits(batch))
    expected = torch.log_softmax(logits / model.temperature, dim=1).numpy()
    np.testing.assert_allclose(Engine(model).predict_log_probabilities(TEXTS), expected, rtol=0, atol=TOLERANCE)


def test_predict_returns_the_likeliest_first(tokenizer: Tokenizer) -> None:
    engine = Engine(make_model(tokenizer, make_config(model__hidden=8)))
    probabilities = np.exp(engine.predict_log_probabilities(TEXTS))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    for row, found in zip(probabilities, engine.predict(TEXTS, top_k=2), strict=True):
        assert [p.probability for p in found] == pytest.approx(sorted(row, reverse=True)[:2])
        assert found[0].label == engine.labels[int(row.argmax())]
    assert all(len(found) == 3 for found in engine.predict(TEXTS, top_k=9))


def make_multi_label(tokenizer: Tokenizer, **values: object) -> Engine:
    model = make_model(tokenizer, make_config(model__hidden=8, data__multi_label=True, **values))
    return Engine(replace(model, thresholds=(0.4, 0.5, 0.6)))


def test_multi_label_probabilities_are_independent(tokenizer: Tokenizer) -> None:
    engine = make_multi_label(tokenizer)
    logits = torch.from_numpy(engine.predict_logits(TEXTS))
    expected = torch.nn.functional.logsigmoid(logits.double()).numpy()
    found = engine.predict_log_probabilities(TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32
    with np.errstate(all="raise", under="ignore"):
        far = engine.to_log_probabilities(np.array([[-1e4, 0, 1e4]], np.float32))
    np.testing.assert_allclose(far, [[-1e4, -np.log(2), 0]], rtol=1e-6)


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_temperature_divides_the_logits(tokenizer: Tokenizer, multi_label: bool) -> None:
    model = make_model(tokenizer, make_config(model__hidden=8, data__multi_label=multi_label))
    if multi_label:
        model = replace(model, thresholds=(0.4, 0.5, 0.6))
    plain, engine = Engine(model), Engine(replace(model, temperature=0.25))
    logits = engine.predict_logits(TEXTS)
    np.testing.assert_array_equal(logits, plain.predict_logits(TEXTS))  # the temperature does not change them
    turn = torch.nn.functional.logsigmoid if multi_label else partial(torch.log_softmax, dim=1)
    expected = turn(torch.from_numpy(logits) / 0.25).numpy()
    np.testing.assert_allclose(engine.predict_log_probabilities(TEXTS), expected, rtol=0, atol=TOLERANCE)
    uncalibrated = engine.to_log_probabilities(logits, temperature=1.0)
    np.testing.assert_array_equal(uncalibrated, plain.predict_log_probabilities(TEXTS))
    for row, found in zip(expected, engine.predict(TEXTS, top_k=3), strict=True):
        assert [p.probability for p in found] == pytest.approx(sorted(np.exp(row), reverse=True), abs=1e-6)


def test_labels_above_their_thresholds_are_predicted(tokenizer: Tokenizer) -> None:
    engine = make_multi_label(tokenizer)
    probabilities = np.exp(engine.predict_log_probabilities(TEXTS))
    several = set()
    for kind in ({}, {"threshold": 0.5}, {"top_k": 2}, {"top_k": 1, "threshold": 0.5}, {"threshold": 1.0}):
        least = (0.4, 0.5, 0.6) if not kind else (kind.get("threshold", 0.0),) * 3
        for row, found in zip(probabilities, engine.predict(TEXTS, **kind), strict=True):
            order = sorted(range(3), key=lambda index: -row[index])
            expected = [engine.labels[index] for index in order[: kind.get("top_k")] if row[index] >= least[index]]
            assert [p.label for p in found] == expected
            assert [p.probability for p in found] == pytest.approx([row["abc".index(label)] for label in expected])
            several.add(len(found))
    assert several >= {0, 1, 2}


def make_with_ngrams(tokenizer: Tokenizer, share: float, *, multi_label: bool = False, **values: object) -> SavedModel:
    """Return a model with random weights for half of the n-grams of TEXTS, and for others."""
    model = make_model(tokenizer, make_config(model__hidden=8, data__multi_label=multi_label, **values))
    rng = np.random.default_rng(1)
    batch = pack(tokenizer.encode_all(TEXTS, max_length=512))
    keys = np.unique(hash_ngrams(batch.ids, batch.offsets, Spelling.of(tokenizer))[0])
    keys = np.union1d(keys[::2], rng.integers(0, 2**32, 50).astype(np.uint32))
    F = len(keys)
    numbers = (1 + rng.random(F), 3 * rng.normal(size=(F, 3)), rng.normal(size=3))
    table = NgramTable(keys, *[part.astype(np.float32) for part in numbers])
    thresholds = (0.4, 0.5, 0.6) if multi_label else None
    return replace(model, ngrams=table, ngram_share=share, temperature=2.5, thresholds=thresholds)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_logits_mix_the_network_and_the_ngrams(tokenizer: Tokenizer, share: float, multi_label: bool) -> None:
    model = make_with_ngrams(tokenizer, share, multi_label=multi_label, **CUT)
    batch = pack(tokenizer.encode_all(TEXTS, max_length=40))  # n-grams of the same tokens
    assert model.ngrams is not None
    table = model.ngrams.forward(batch.ids, batch.offsets, Spelling.of(tokenizer), library=False).astype(np.float64)
    network = Engine(replace(model, ngrams=None)).predict_logits(TEXTS).astype(np.float64)
    assert np.abs(table - network).max() > 1
    found = Engine(model).predict_logits(TEXTS)
    assert found.dtype == np.float32
    expected = (1 - share) * network + share * table
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    turn = torch.nn.functional.logsigmoid if multi_label else partial(torch.log_softmax, dim=1)
    log_probabilities = Engine(model).predict_log_probabilities(TEXTS)
    np.testing.assert_allclose(log_probabilities, turn(torch.from_numpy(expected) / 2.5), rtol=0, atol=TOLERANCE)


def test_ngrams_do_not_depend_on_other_texts(tokenizer: Tokenizer) -> None:
    engine = Engine(make_with_ngrams(tokenizer, 0.5))
    together = engine.predict_logits(TEXTS)
    for text, expected in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(engine.predict_logits([text])[0], expected, rtol=0, atol=1e-6)


class RecordingNetwork(NumpyNetwork):
    """A network that records how many texts it reads."""

    texts = 0

    def forward(self, batch: PackedBatch, *, threads: int) -> Array:
        self.texts += len(batch)
        return super().forward(batch, threads=threads)


def test_texts_with_the_margin_are_not_read_by_the_network(tokenizer: Tokenizer) -> None:
    model = make_with_ngrams(tokenizer, 0.3, data__long_texts="cut")
    model = replace(model, cascade=Cascade(0.5, (1.0,), (0.9,)))
    assert model.ngrams is not None
    batch = pack(tokenizer.encode_all(TEXTS, max_length=512))
    table = model.ngrams.forward(batch.ids, batch.offsets, Spelling.of(tokenizer), library=False)
    best, second = np.sort(table, axis=1)[:, :-3:-1].T
    margins = (best - second) / np.float32(0.5)
    whole = Engine(model).predict_log_probabilities(TEXTS)
    alone = torch.log_softmax(torch.from_numpy(table) / 0.5, dim=1).numpy()
    assert np.abs(whole - alone).max(axis=1).min() > 1e-2
    for margin in (0.0, float(np.median(margins)), float(margins.max()) + 1):
        network = RecordingNetwork(model)
        sure = margins >= margin
        found = Engine(model, network, margin).predict_log_probabilities(TEXTS)
        np.testing.assert_allclose(found, np.where(sure[:, None], alone, whole), rtol=0, atol=TOLERANCE)
        assert network.texts == (~sure).sum()
    assert sure.sum() == 0
    halfway = pickle.loads(pickle.dumps(Engine(model, margin=0.0)))
    np.testing.assert_allclose(halfway.predict_log_probabilities(TEXTS), alone, rtol=0, atol=TOLERANCE)


def test_without_a_margin_the_network_reads_all_texts(tokenizer: Tokenizer) -> None:
    model = make_with_ngrams(tokenizer, 0.3, data__long_texts="whole")
    network = RecordingNetwork(model)
    logits = Engine(replace(model, cascade=Cascade(0.5, (0.0,), (1.0,))), network).predict_logits(TEXTS)
    np.testing.assert_array_equal(logits, Engine(model).predict_logits(TEXTS))
    assert network.texts == len(TEXTS)


def test_a_network_without_weight_is_not_computed(tokenizer: Tokenizer) -> None:
    model = make_with_ngrams(tokenizer, 1.0)
    network = RecordingNetwork(model)
    assert Engine(model, network).predict_logits(TEXTS).shape == (len(TEXTS), 3)
    assert network.texts == 0


def test_the_network_reads_windows_and_the_ngrams_all_of_them(tokenizer: Tokenizer) -> None:
    model = make_with_ngrams(tokenizer, 0.3, data__max_length=40)
    assert model.ngrams is not None
    text = "the parcel " * 90
    ids = tokenizer.encode_ids(text)
    middle = (len(ids) - 40) // 2
    windows = [ids[:40], ids[middle : middle + 40], ids[-40:]]
    assert len(ids) > 120
    network = NumpyNetwork(model)
    mean = network.forward(pack(windows), threads=1).mean(axis=0)
    read = pack([[piece for window in windows for piece in window]])
    table = model.ngrams.forward(read.ids, read.offsets, Spelling.of(tokenizer), library=False)[0]
    engine = Engine(model)
    np.testing.assert_allclose(engine.predict_logits([text])[0], 0.7 * mean + 0.3 * table, rtol=0, atol=TOLERANCE)
    vector = network.embed(pack(windows), threads=1).mean(axis=0)
    np.testing.assert_allclose(engine.embed([text])[0], vector, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("long_texts", ["windows", "whole"])
def test_long_texts_do_not_depend_on_other_texts(tokenizer: Tokenizer, long_texts: str) -> None:
    engine = Engine(make_with_ngrams(tokenizer, 0.3, data__max_length=9, data__long_texts=long_texts))
    for text, expected in zip(TEXTS, engine.predict_logits(TEXTS), strict=True):
        np.testing.assert_allclose(engine.predict_logits([text])[0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
@pytest.mark.parametrize("pooling", ["attention", "max+mean", "last"])
def test_whole_texts_are_read_to_their_end(tokenizer: Tokenizer, cell: str, pooling: str) -> None:
    shape = {"model__hidden": 8, "model__cell": cell, "model__pooling": pooling}
    whole = Engine(make_model(tokenizer, make_config(**shape, data__max_length=40, data__long_texts="whole")))
    longer = Engine(make_model(tokenizer, make_config(**shape, data__max_length=1000)))
    np.testing.assert_array_equal(whole.predict_logits(TEXTS), longer.predict_logits(TEXTS))
    np.testing.assert_array_equal(whole.embed(TEXTS), longer.embed(TEXTS))


def test_a_text_beyond_the_limit_is_read_in_windows_of_it(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(make_model(tokenizer, make_config(model__hidden=8, data__long_texts="whole")))
    monkeypatch.setattr(engine, "windows", Windows(50, None))
    ids = tokenizer.encode_ids("the parcel " * 90)
    count = -(-len(ids) // 50)
    starts = [index * (len(ids) - 50) // (count - 1) for index in range(count)]
    expected = NumpyNetwork(engine.model).forward(pack([ids[start : start + 50] for start in starts]), threads=1)
    found = engine.predict_logits(["the parcel " * 90])[0]
    np.testing.assert_allclose(found, expected.mean(axis=0), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("long_texts", ["windows", "whole"])
def test_texts_that_fit_have_the_same_bits_in_all_ways(tokenizer: Tokenizer, long_texts: str) -> None:
    cut, other = (
        Engine(make_with_ngrams(tokenizer, 0.3, data__max_length=900, data__long_texts=way)).predict_logits(TEXTS)
        for way in ("cut", long_texts)
    )
    np.testing.assert_array_equal(cut, other)
