"""The checks of the recurrence's inputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru.inputs import SruInputs, check


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": torch.zeros(3, 1, 5, 2)}, "u should be"),
        ({"u": torch.zeros(3, 1, 3, 2, dtype=torch.int64)}, "floating-point"),
        ({"x": None}, "x is needed if u has 3 blocks"),
        ({"x": torch.zeros(3, 1, 4)}, "x should be"),
        ({"layout": BatchLayout(torch.tensor([0, 3], dtype=torch.int32))}, "int64"),
        ({"v": torch.zeros(2, 2)}, "v should be"),
        ({"b": torch.zeros(1, 2, 3)}, "b should be"),
        ({"c0": torch.zeros(2, 1, 2)}, "c0 should be"),
        ({"c0": torch.zeros(1, 1, 2, requires_grad=True)}, "no gradient"),
    ],
)
def test_mismatched_inputs_are_refused(change: dict[str, Any], message: str) -> None:
    inputs = {
        "u": torch.zeros(3, 1, 3, 2),
        "x": torch.zeros(3, 1, 2),
        "layout": BatchLayout(torch.tensor([0, 3])),
        "v": torch.zeros(1, 2, 2),
        "b": torch.zeros(1, 2, 2),
        "alpha": 1.0,
        "c0": torch.zeros(1, 1, 2),
    }
    check(SruInputs(**inputs))
    with pytest.raises(ValueError, match=message):
        check(SruInputs(**inputs | change))


def test_unpack_reverses_pack() -> None:
    layout = BatchLayout(torch.tensor([0, 3]), torch.tensor([0]))
    inputs = SruInputs(
        torch.ones(2, 3, 1, 3).permute(3, 2, 1, 0), None, layout, torch.ones(1, 2, 2), torch.ones(1, 2, 2), 1.5, None
    )
    unpacked = SruInputs.unpack(inputs.pack())
    assert unpacked.u.is_contiguous()
    assert torch.equal(unpacked.u, inputs.u)
    assert unpacked.layout.longest_first is layout.longest_first
    assert unpacked.alpha == 1.5
