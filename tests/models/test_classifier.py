"""The network: independence of the batch, and weights that go out and come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samples import SENTENCES, make_config, make_model
from textrnn.data.batch import PackedBatch, pack
from textrnn.models.classifier import Classifier
from textrnn.tokenization.tokenizer import Tokenizer


def score(network: Classifier, batch: PackedBatch) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = network(torch.from_numpy(batch.ids), torch.from_numpy(batch.offsets))
    return logits


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
def test_a_text_does_not_depend_on_the_batch(cell: str, tokenizer: Tokenizer) -> None:
    config = make_config(model__cell=cell, model__hidden=8)
    torch.manual_seed(1)
    network = Classifier(len(tokenizer), 3, **config.model.model_dump()).eval()
    ids = tokenizer.encode_all(SENTENCES, max_length=99)
    together = score(network, pack(ids))
    assert together.shape == (len(SENTENCES), 3)
    for row, sequence in zip(together, ids, strict=True):
        torch.testing.assert_close(score(network, pack([sequence]))[0], row)


def test_dropout_acts_in_training_only(tokenizer: Tokenizer) -> None:
    config = make_config(model__hidden=8)
    network = Classifier(len(tokenizer), 3, **config.model.model_dump())
    batch = pack(tokenizer.encode_all(SENTENCES, max_length=99))
    assert not torch.equal(score(network.train(), batch), score(network, batch))
    assert torch.equal(score(network.eval(), batch), score(network, batch))


def test_exported_weights_are_copies_and_come_back(tokenizer: Tokenizer) -> None:
    config = make_config(model__hidden=8, model__pooling="attention")
    model = make_model(tokenizer, config)
    network = Classifier(len(tokenizer), 3, **config.model.model_dump())
    network.import_weights(model.weights)
    exported = network.export_weights()
    assert exported.keys() == model.weights.keys()
    assert all(np.array_equal(exported[name], model.weights[name]) for name in exported)
    network.head.weight.data.zero_()
    assert exported["head.weight"].any()
