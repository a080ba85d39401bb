"""Which device a name stands for."""

from __future__ import annotations

import pytest
import torch

from textrnn.errors import BackendError
from textrnn.ops.device import make_repeatable, resolve_device


def test_without_a_gpu_auto_is_the_cpu() -> None:
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:999"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(BackendError, match=f"device {name}: no CUDA device found; use --device cpu"):
        resolve_device(name)


def test_the_seed_fixes_what_torch_draws() -> None:
    drawn = []
    for _ in range(2):
        make_repeatable(7)
        drawn.append(torch.rand(3))
    assert torch.equal(*drawn)
    assert torch.are_deterministic_algorithms_enabled()
