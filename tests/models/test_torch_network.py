"""Prediction with torch against the engine's own network."""

from __future__ import annotations

import numpy as np
import pytest

from samples import SENTENCES, make_config, make_model
from textrnn.errors import BackendError
from textrnn.inference.engine import Engine
from textrnn.models.torch_network import TorchNetwork
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.mark.parametrize("cell", ["sru", "gru"])
def test_logits_equal_those_of_the_engine(tokenizer: Tokenizer, cell: str) -> None:
    model = make_model(tokenizer, make_config(model__cell=cell, model__hidden=8))
    texts = [*SENTENCES, ""]
    expected = Engine(model).predict_logits(texts)
    got = Engine(model, TorchNetwork(model, "cpu")).predict_logits(texts)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_an_unavailable_device_is_refused(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer, make_config(model__hidden=8))
    for device in ("cuda:99", "meta"):
        with pytest.raises(BackendError, match=f"device {device}"):
            TorchNetwork(model, device)
