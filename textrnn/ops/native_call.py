"""Calling the C++ library on tensors, for everything beside the recurrence and its products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from textrnn.native import library


def call(name: str, *arguments: Any, refused: str = "") -> None:
    """Call the function ``name`` of the library, on as many threads as torch uses.

    Tensors, which are contiguous and on the CPU, are passed as their addresses, None as a null.

    Raises:
        MemoryError: the library wants more memory than there is.
        ValueError: it refuses an argument; ``refused`` is the message.
    """
    values = [value.data_ptr() if isinstance(value, Tensor) else value for value in arguments]
    status = getattr(library.load_native().library, f"textrnn_{name}")(*values, torch.get_num_threads())
    library.check(status, refused=refused)
