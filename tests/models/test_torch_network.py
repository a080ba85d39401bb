"""Prediction with torch gives what the engine's own network gives."""

from __future__ import annotations

import numpy as np
import pytest

from samples import SENTENCES, make_config, make_model
from textrnn.errors import BackendError
from textrnn.inference.engine import Engine
from textrnn.models.torch_network import TorchNetwork
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.mark.parametrize("cell", ["sru", "gru"])
def test_the_scores_are_those_of_the_engine(tokenizer: Tokenizer, cell: str) -> None:
    model = make_model(tokenizer, make_config(model__cell=cell, model__hidden=8))
    texts = [*SENTENCES, ""]
    wanted = Engine(model).predict_logits(texts)
    got = Engine(model, TorchNetwork(model, "cpu")).predict_logits(texts)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)


def test_a_device_that_is_not_there_is_refused(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer, make_config(model__hidden=8))
    with pytest.raises(BackendError, match="device cuda:99"):
        TorchNetwork(model, "cuda:99")


def test_a_device_of_another_kind_is_refused(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer, make_config(model__hidden=8))
    with pytest.raises(BackendError, match="device meta: use cpu, cuda or mps"):
        TorchNetwork(model, "meta")
