"""A model with random weights."""

from __future__ import annotations

import pytest

from samples import make_config, make_model
from textrnn.inference.engine import Engine
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def engine(tokenizer: Tokenizer) -> Engine:
    return Engine(make_model(tokenizer, make_config(model__hidden=8)))
