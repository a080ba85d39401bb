"""The network: the table of projections, and numpy instead of the C++ library, change nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from samples import SENTENCES, make_config, make_model
from textrnn.data.batch import PackedBatch, pack
from textrnn.inference.network import NumpyNetwork
from textrnn.inference.pooling import Array
from textrnn.native import library
from textrnn.serialization.model_file import SavedModel
from textrnn.tokenization.tokenizer import Tokenizer

NATIVE = library.load_native().library is not None
SHAPES = [("sru", 16, True), ("sru", 20, False), ("gru", 16, True), ("lstm", 20, False)]


def make(tokenizer: Tokenizer, cell: str, embedding: int, layer_norm: bool) -> tuple[SavedModel, PackedBatch]:
    sizes = {"model__hidden": 8, "model__embedding": embedding, "model__layer_norm": layer_norm}
    model = make_model(tokenizer, make_config(model__cell=cell, **sizes))
    return model, pack(tokenizer.encode_all([*SENTENCES, "", "tea " * 70], max_length=60))


def forward_often(network: NumpyNetwork, batch: PackedBatch, *, pieces: int) -> list[Array]:
    """Return the logits of ``batch`` many times, until the table is in use."""
    return [network.forward(batch, threads=1) for _ in range(2 + pieces // len(batch.ids))]


@pytest.mark.parametrize(("cell", "embedding", "layer_norm"), SHAPES)
def test_the_table_gives_the_same_logits(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, cell: str, embedding: int, layer_norm: bool
) -> None:
    model, batch = make(tokenizer, cell, embedding, layer_norm)
    with monkeypatch.context() as patch:
        patch.setattr("textrnn.inference.network._MAX_TABLE_BYTES", 0)
        without = NumpyNetwork(model)
    first = without.forward(batch, threads=1)
    assert without._table is None
    network = NumpyNetwork(model)
    last = forward_often(network, batch, pieces=len(tokenizer))[-1]
    assert network._table is not None
    if library.supports_dtype(np.dtype(np.float32)):  # the bits of an entry do not depend on other rows
        np.testing.assert_array_equal(first, last)
    np.testing.assert_allclose(first, last, rtol=0, atol=1e-6)


def test_the_table_is_built_after_as_many_tokens_as_pieces(tokenizer: Tokenizer) -> None:
    model, _ = make(tokenizer, "sru", 16, True)
    batch = pack(tokenizer.encode_all(["the parcel came late"], max_length=60))
    assert 2 * len(batch.ids) < len(tokenizer)
    network = NumpyNetwork(model)
    seen = 0
    while seen + len(batch.ids) < len(tokenizer):
        network.forward(batch, threads=1)
        seen += len(batch.ids)
        assert network._table is None
    network.forward(batch, threads=1)
    assert network._table is not None


def test_too_large_a_table_is_not_built(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textrnn.inference.network._MAX_TABLE_BYTES", 4 * len(tokenizer) * 2 * 3 * 8 - 1)
    model, batch = make(tokenizer, "sru", 16, True)
    network = NumpyNetwork(model)
    forward_often(network, batch, pieces=len(tokenizer))
    assert network._table is None


@pytest.mark.skipif(not NATIVE, reason="the library was not compiled")
@pytest.mark.parametrize(("cell", "embedding", "layer_norm"), SHAPES)
def test_numpy_equals_the_library(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, cell: str, embedding: int, layer_norm: bool
) -> None:
    model, batch = make(tokenizer, cell, embedding, layer_norm)
    expected = NumpyNetwork(model).forward(batch, threads=2)
    monkeypatch.setattr(library, "load_native", lambda: library.Native(None, "it was not compiled"))
    monkeypatch.setattr(library, "supports_dtype", lambda dtype: False)
    for logits in forward_often(NumpyNetwork(model), batch, pieces=len(tokenizer)):
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def test_concurrent_threads_get_the_same_logits(tokenizer: Tokenizer) -> None:
    model, batch = make(tokenizer, "sru", 16, True)
    expected = NumpyNetwork(model).forward(batch, threads=1)
    network = NumpyNetwork(model)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: network.forward(batch, threads=1), range(100)))
    assert network._table is not None
    for logits in found:
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-6)
