"""The layout of a batch: the same from the host as from a tensor, and no copy to the host that is not needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samples import make_config
from textrnn.data.batch import make_offsets, pack
from textrnn.models.classifier import Classifier
from textrnn.ops.batch_layout import BatchLayout

LENGTHS = [3, 1, 5, 2]
OFFSETS = make_offsets(np.array(LENGTHS))


def test_a_layout_from_the_host_equals_one_from_a_tensor() -> None:
    host, tensor = BatchLayout.of(OFFSETS, torch.device("cpu")), BatchLayout(torch.from_numpy(OFFSETS))
    assert len(host) == len(tensor) == 4
    assert host.offsets.tolist() == tensor.host_offsets.tolist() == OFFSETS.tolist()
    for mine, theirs in zip(host.packed_order, tensor.packed_order, strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_no_layer_copies_from_the_device_to_the_host(cell: str) -> None:
    config = make_config(model__cell=cell, model__pooling="last", model__hidden=8)
    meta = torch.device("meta")  # raises if a tensor's values are read
    network = Classifier(20, 3, **config.model.model_dump()).to(meta)
    batch = pack([[1] * length for length in LENGTHS])
    logits = network(torch.from_numpy(batch.ids).to(meta), BatchLayout.of(batch.offsets, meta))
    assert logits.shape == (4, 3)
    logits.sum().backward()
