"""The numpy engine against the network in torch, for every kind of model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from samples import SENTENCES, make_config, make_model
from textrnn.data.batch import pack
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import sigmoid
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.features import Spelling, hash_ngrams
from textrnn.models.ngram.table import NgramTable
from textrnn.serialization.model_file import SavedModel
from textrnn.tokenization.tokenizer import Tokenizer

TOLERANCE = 1e-5  # of a log-probability: float32 rounding, in another order of additions

TEXTS = [*SENTENCES, "", " ", "the parcel " * 90, "\u2028\0"]


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
    config = make_config(
        model__cell=cell,
        model__bidirectional=bidirectional,
        model__layers=layers,
        model__hidden=8,
        model__embedding=embedding,
        model__pooling=pooling,
        model__layer_norm=layer_norm,
        model__highway_bias=-1.5,
        data__max_length=40,
    )
    model = replace(make_model(tokenizer, config), temperature=0.5 if bidirectional else 2.5)
    network = Classifier(len(tokenizer), 3, **config.model.model_dump()).eval()
    network.import_weights(model.weights)
    batch = pack(tokenizer.encode_all(TEXTS, max_length=40))
    logits = torch.from_numpy(network.predict_logits(batch))
    wanted = torch.log_softmax(logits / model.temperature, dim=1).numpy()
    np.testing.assert_allclose(Engine(model).predict_log_probabilities(TEXTS), wanted, rtol=0, atol=TOLERANCE)


def test_predict_gives_the_likeliest_first(tokenizer: Tokenizer) -> None:
    engine = Engine(make_model(tokenizer, make_config(model__hidden=8)))
    probabilities = np.exp(engine.predict_log_probabilities(TEXTS))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    for row, found in zip(probabilities, engine.predict(TEXTS, top_k=2), strict=True):
        assert [p.probability for p in found] == pytest.approx(sorted(row, reverse=True)[:2])
        assert found[0].label == engine.labels[int(row.argmax())]
    assert all(len(found) == 3 for found in engine.predict(TEXTS, top_k=9))


def test_no_texts_give_no_predictions(tokenizer: Tokenizer) -> None:
    assert Engine(make_model(tokenizer, make_config(model__hidden=8))).predict([]) == []


def test_sigmoid_is_right_and_never_overflows() -> None:
    x = np.array([-1e4, -88.0, -1.0, 0.0, 1.0, 88.0, 1e4], np.float32)
    with np.errstate(all="raise", under="ignore"):
        got = sigmoid(x)
    np.testing.assert_allclose(got, torch.sigmoid(torch.from_numpy(x).double()).numpy(), atol=1e-7)


def make_several(tokenizer: Tokenizer, **values: object) -> Engine:
    model = make_model(tokenizer, make_config(model__hidden=8, data__multi_label=True, **values))
    return Engine(replace(model, thresholds=(0.4, 0.5, 0.6)))


def test_probabilities_of_several_labels_are_each_by_itself(tokenizer: Tokenizer) -> None:
    engine = make_several(tokenizer)
    logits = torch.from_numpy(engine.predict_logits(TEXTS))
    wanted = torch.nn.functional.logsigmoid(logits.double()).numpy()
    found = engine.predict_log_probabilities(TEXTS)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert found.dtype == np.float32
    with np.errstate(all="raise", under="ignore"):
        far = engine.to_log_probabilities(np.array([[-1e4, 0, 1e4]], np.float32))
    np.testing.assert_allclose(far, [[-1e4, -np.log(2), 0]], rtol=1e-6)


@pytest.mark.parametrize("several", [False, True])
def test_the_temperature_divides_the_scores(tokenizer: Tokenizer, several: bool) -> None:
    model = make_model(tokenizer, make_config(model__hidden=8, data__multi_label=several))
    if several:
        model = replace(model, thresholds=(0.4, 0.5, 0.6))
    plain, engine = Engine(model), Engine(replace(model, temperature=0.25))
    logits = engine.predict_logits(TEXTS)
    np.testing.assert_array_equal(logits, plain.predict_logits(TEXTS))  # they are the network's own
    turn = torch.nn.functional.logsigmoid if several else partial(torch.log_softmax, dim=1)
    wanted = turn(torch.from_numpy(logits) / 0.25).numpy()
    np.testing.assert_allclose(engine.predict_log_probabilities(TEXTS), wanted, rtol=0, atol=TOLERANCE)
    uncalibrated = engine.to_log_probabilities(logits, temperature=1.0)
    np.testing.assert_array_equal(uncalibrated, plain.predict_log_probabilities(TEXTS))
    for row, found in zip(wanted, engine.predict(TEXTS, top_k=3), strict=True):
        assert [p.probability for p in found] == pytest.approx(sorted(np.exp(row), reverse=True), abs=1e-6)


def test_the_labels_from_their_thresholds_on_are_given(tokenizer: Tokenizer) -> None:
    engine = make_several(tokenizer)
    probabilities = np.exp(engine.predict_log_probabilities(TEXTS))
    several = set()
    for kind in ({}, {"threshold": 0.5}, {"top_k": 2}, {"top_k": 1, "threshold": 0.5}, {"threshold": 1.0}):
        least = (0.4, 0.5, 0.6) if not kind else (kind.get("threshold", 0.0),) * 3
        for row, found in zip(probabilities, engine.predict(TEXTS, **kind), strict=True):
            order = sorted(range(3), key=lambda index: -row[index])
            wanted = [engine.labels[index] for index in order[: kind.get("top_k")] if row[index] >= least[index]]
            assert [p.label for p in found] == wanted
            assert [p.probability for p in found] == pytest.approx([row["abc".index(label)] for label in wanted])
            several.add(len(found))
    assert several >= {0, 1, 2}


def make_with_ngrams(tokenizer: Tokenizer, share: float, *, several: bool = False, **values: object) -> SavedModel:
    """Return a model with random weights for half of the n-grams of TEXTS, and for others."""
    model = make_model(tokenizer, make_config(model__hidden=8, data__multi_label=several, **values))
    rng = np.random.default_rng(1)
    batch = pack(tokenizer.encode_all(TEXTS, max_length=512))
    keys = np.unique(hash_ngrams(batch.ids, batch.offsets, Spelling.of(tokenizer))[0])
    keys = np.union1d(keys[::2], rng.integers(0, 2**32, 50).astype(np.uint32))
    F = len(keys)
    numbers = (1 + rng.random(F), 3 * rng.normal(size=(F, 3)), rng.normal(size=3))
    table = NgramTable(keys, *[part.astype(np.float32) for part in numbers])
    thresholds = (0.4, 0.5, 0.6) if several else None
    return replace(model, ngrams=table, ngram_share=share, temperature=2.5, thresholds=thresholds)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_scores_are_the_networks_mixed_with_those_of_the_ngrams(
    tokenizer: Tokenizer, share: float, several: bool
) -> None:
    model = make_with_ngrams(tokenizer, share, several=several, data__max_length=40)
    batch = pack(tokenizer.encode_all(TEXTS, max_length=40))  # n-grams are those of what the network reads
    assert model.ngrams is not None
    table = model.ngrams.forward(batch.ids, batch.offsets, Spelling.of(tokenizer), library=False).astype(np.float64)
    network = Engine(replace(model, ngrams=None)).predict_logits(TEXTS).astype(np.float64)
    assert np.abs(table - network).max() > 1
    found = Engine(model).predict_logits(TEXTS)
    assert found.dtype == np.float32
    wanted = (1 - share) * network + share * table
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)
    turn = torch.nn.functional.logsigmoid if several else partial(torch.log_softmax, dim=1)
    log_probabilities = Engine(model).predict_log_probabilities(TEXTS)
    np.testing.assert_allclose(log_probabilities, turn(torch.from_numpy(wanted) / 2.5), rtol=0, atol=TOLERANCE)


def test_ngrams_are_those_of_a_text_whatever_comes_with_it(tokenizer: Tokenizer) -> None:
    engine = Engine(make_with_ngrams(tokenizer, 0.5))
    together = engine.predict_logits(TEXTS)
    for text, wanted in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(engine.predict_logits([text])[0], wanted, rtol=0, atol=1e-6)
