"""The network: independence of the batch, and export and import of weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samples import SENTENCES, make_config, make_model
from textrnn.data.batch import pack
from textrnn.models.classifier import Classifier
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
def test_a_text_does_not_depend_on_the_batch(cell: str, tokenizer: Tokenizer) -> None:
    config = make_config(model__cell=cell, model__hidden=8)
    torch.manual_seed(1)
    network = Classifier(len(tokenizer), 3, **config.model.model_dump()).eval()
    ids = tokenizer.encode_all(SENTENCES, max_length=99)
    together = network.predict_logits(pack(ids))
    assert together.shape == (len(SENTENCES), 3)
    for row, sequence in zip(together, ids, strict=True):
        np.testing.assert_allclose(network.predict_logits(pack([sequence]))[0], row, rtol=1.3e-6, atol=1e-5)


def test_dropout_is_active_in_training_only(tokenizer: Tokenizer) -> None:
    config = make_config(model__hidden=8)
    network = Classifier(len(tokenizer), 3, **config.model.model_dump())
    batch = pack(tokenizer.encode_all(SENTENCES, max_length=99))
    assert not np.array_equal(network.train().predict_logits(batch), network.predict_logits(batch))
    assert np.array_equal(network.eval().predict_logits(batch), network.predict_logits(batch))


def test_exported_weights_are_copies_and_can_be_imported(tokenizer: Tokenizer) -> None:
    config = make_config(model__hidden=8, model__pooling="attention")
    model = make_model(tokenizer, config)
    network = Classifier(len(tokenizer), 3, **config.model.model_dump())
    network.import_weights(model.weights)
    exported = network.export_weights()
    assert exported.keys() == model.weights.keys()
    assert all(np.array_equal(exported[name], model.weights[name]) for name in exported)
    network.head.weight.data.zero_()
    assert exported["head.weight"].any()
