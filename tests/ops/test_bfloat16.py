"""Rounding to bfloat16: as torch does, and what is finite stays so."""

from __future__ import annotations

import numpy as np
import torch

from textrnn.ops.bfloat16 import to_bfloat16


def test_rounds_as_torch_does() -> None:
    bits = np.random.default_rng(5).integers(0, 2**32, 200_000, dtype=np.uint32)
    numbers = np.concatenate([bits.view(np.float32), np.float32([0, -0.0, 1e-45, 3e-39, 1.00390625, 1.01171875])])
    wanted = torch.from_numpy(numbers).bfloat16().view(torch.int16).numpy().view(np.uint16)
    finite = wanted & 0x7F80 != 0x7F80
    np.testing.assert_array_equal(to_bfloat16(numbers[finite]), wanted[finite])
    turned = numbers[finite][:60000].reshape(200, 300).T
    np.testing.assert_array_equal(to_bfloat16(turned), wanted[finite][:60000].reshape(200, 300).T)


def test_the_largest_numbers_become_the_largest_that_is_finite() -> None:
    largest = np.finfo(np.float32).max
    found = to_bfloat16(np.float32([largest, -largest, 3.4e38, np.inf]))
    assert found.tolist() == [0x7F7F, 0xFF7F, 0x7F7F, 0x7F7F]
