"""The arguments of the SRU recurrence as one object, checked once and passed to whichever backend runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from textrnn.ops.batch_layout import BatchLayout


@dataclass(frozen=True, eq=False)
class SruInputs:
    """What a backend computes from; :func:`textrnn.ops.sru.recurrence.sru_recurrence` describes each field.

    ``u``: (N, K, G, D); ``x``: (N, K, D), None if G is 4; ``v`` and ``b``: (K, 2, D); ``c0``: (B, K, D) or None.
    """

    u: Tensor
    x: Tensor | None
    layout: BatchLayout
    v: Tensor
    b: Tensor
    alpha: float
    c0: Tensor | None

    @property
    def leaves(self) -> tuple[Tensor | None, ...]:
        """The tensors that have gradients: u, x, v, b."""
        return self.u, self.x, self.v, self.b

    @classmethod
    def unpack(cls, arguments: Sequence[Any]) -> SruInputs:
        """Return the inputs that :meth:`pack` packed, contiguous and with ``c0`` in float32, as kernels need them."""
        u, x, offsets, order, v, b, alpha, c0 = arguments
        u, offsets, v, b = (t.contiguous().resolve_neg() for t in (u, offsets, v, b))
        x = None if x is None else x.contiguous().resolve_neg()
        c0 = None if c0 is None else c0.float().contiguous().resolve_neg()
        return cls(u, x, BatchLayout(offsets, order), v, b, alpha, c0)

    def pack(self) -> tuple[Any, ...]:
        """Return the fields as an operator of torch takes them: tensors and numbers."""
        return self.u, self.x, self.layout.offsets, self.layout.longest_first, self.v, self.b, self.alpha, self.c0


def check(inputs: SruInputs) -> None:
    """Raise ValueError if shapes, dtypes or devices do not match, or ``c0`` requires a gradient."""
    u, offsets = inputs.u, inputs.layout.offsets
    if u.dim() != 4 or u.shape[2] not in (3, 4):
        raise ValueError(f"u should be (N, K, 3 or 4, D), not {tuple(u.shape)}")
    if not u.is_floating_point():
        raise ValueError(f"u should hold floating-point numbers, not {u.dtype}")
    N, K, G, D = u.shape
    if (inputs.x is None) != (G == 4):
        raise ValueError("x is needed if u has 3 blocks, and only then")
    if offsets.dim() != 1 or offsets.dtype != torch.int64 or offsets.shape[0] == 0:
        raise ValueError(f"offsets should be (B+1,) torch.int64, not {tuple(offsets.shape)} {offsets.dtype}")
    if offsets.device != u.device:
        raise ValueError(f"offsets should be on {u.device}, not on {offsets.device}")
    for name, shape in (("x", (N, K, D)), ("v", (K, 2, D)), ("b", (K, 2, D)), ("c0", (len(inputs.layout), K, D))):
        tensor = getattr(inputs, name)
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{name} should be {shape}, not {tuple(tensor.shape)}")
        if tensor is not None and tensor.device != u.device:
            raise ValueError(f"{name} should be on {u.device}, not on {tensor.device}")
    if inputs.c0 is not None and inputs.c0.requires_grad:
        raise ValueError("c0 gets no gradient: detach it")


def refuse_forward_mode(*tensors: Tensor | None) -> None:
    """Raise NotImplementedError for forward-mode derivatives, which would silently be zero."""
    if torch.compiler.is_compiling() or forward_ad._current_level < 0:
        return
    if any(tensor is not None and forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors):
        raise NotImplementedError("SRU has no forward-mode derivatives; use backward mode")
