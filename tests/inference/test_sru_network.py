"""The whole SRU network in one call of the library, against its layers one by one, in each precision."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from samples import SENTENCES, make_config, make_model
from textrnn.data.batch import pack
from textrnn.inference import Precision
from textrnn.inference.linear import missing_support
from textrnn.inference.network import NumpyNetwork
from textrnn.ops import prepacked
from textrnn.tokenization.tokenizer import Tokenizer

pytestmark = pytest.mark.skipif(prepacked.missing_isa("float32") is not None, reason="no prepacked weights here")
TEXTS = [*SENTENCES, "tea " * 70, "", *SENTENCES[::-1], "parcel " * 300]
PRECISIONS = [
    pytest.param(
        name, marks=[] if missing_support(name) is None else pytest.mark.skip(reason=str(missing_support(name)))
    )
    for name in get_args(Precision)
]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("pooling", ["attention", "max+mean", "last", "mean", "max"])
@pytest.mark.parametrize(("embedding", "bidirectional", "layer_norm"), [(16, True, True), (20, False, False)])
def test_equals_the_layers(
    tokenizer: Tokenizer, precision: Precision, pooling: str, embedding: int, bidirectional: bool, layer_norm: bool
) -> None:
    shape = {"model__hidden": 8, "model__embedding": embedding, "model__bidirectional": bidirectional}
    config = make_config(
        model__cell="sru", model__layers=3, model__pooling=pooling, **shape, model__layer_norm=layer_norm
    )
    network = NumpyNetwork(make_model(tokenizer, config), precision)
    assert network._fused is not None
    batch = pack(tokenizer.encode_all(TEXTS, max_length=300))
    found = network.forward(batch, threads=1)
    network._fused = None
    expected = network.forward(batch, threads=1)
    # a row is rounded again after a difference in the last bit: in int8 by a step of 1/127
    np.testing.assert_allclose(found, expected, rtol=0, atol={"fp32": 1e-5, "bf16": 0.02, "int8": 0.03}[precision])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_bit_depends_on_other_texts_or_threads(tokenizer: Tokenizer, precision: Precision) -> None:
    network = NumpyNetwork(make_model(tokenizer, make_config(model__cell="sru", model__hidden=8)), precision)
    network._table_too_large = True
    ids = tokenizer.encode_all(TEXTS, max_length=300)
    together = network.forward(pack(ids), threads=1)
    np.testing.assert_array_equal(network.forward(pack(ids), threads=3), together)
    alone = np.concatenate([network.forward(pack([text]), threads=1) for text in ids])
    np.testing.assert_array_equal(alone, together)


def test_wrong_ids_are_refused(tokenizer: Tokenizer) -> None:
    network = NumpyNetwork(make_model(tokenizer, make_config(model__cell="sru", model__hidden=8)))
    with pytest.raises(ValueError, match="layers should fit"):
        network.forward(pack([[0, 1, len(tokenizer)]]), threads=1)
