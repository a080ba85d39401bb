"""Parameters that move slowly."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from samples import make_config
from textrnn.models.classifier import Classifier
from textrnn.training.optimizer import AdamW
from textrnn.training.starters.slow_parameters import SlowParameters


@pytest.fixture
def models() -> list[Classifier]:
    torch.manual_seed(0)
    config = make_config(model__hidden=4, model__embedding=8, model__layers=1).model
    model = Classifier(10, 2, **config.model_dump())
    model.embedding.weight.requires_grad_(False)
    return [model, copy.deepcopy(model)]


def test_all_but_the_output_layer_move_by_a_share(models: list[Classifier]) -> None:
    before = models[0].export_weights()
    rows = torch.tensor([2, 5])
    after = []
    for model, slow in zip(models, (None, SlowParameters.of(models[1])), strict=True):
        optimizer = AdamW(model.embedding.weight, model.network(), make_config().train)
        for parameter in model.network().values():
            parameter.grad = torch.ones_like(parameter)
        gradient = torch.ones(2, 8)
        if slow is None:
            optimizer.step(rows, gradient, lr=0.1)
        else:
            with slow.slowed(rows):
                optimizer.step(rows, gradient, lr=0.1)
        after.append(model.export_weights())
    for name, start in before.items():
        share = 1.0 if name.startswith("head.") else slow.share
        np.testing.assert_allclose(after[1][name] - start, share * (after[0][name] - start), rtol=1e-3, atol=1e-6)
    assert np.array_equal(after[1]["embedding.weight"][0], before["embedding.weight"][0])
    assert not np.array_equal(after[1]["embedding.weight"][5], before["embedding.weight"][5])
