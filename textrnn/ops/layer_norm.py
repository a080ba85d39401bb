"""Dropout and then layer normalisation in one pass over the rows: what stands before each recurrent layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from textrnn.native import library
from textrnn.ops.dropout import dropout
from textrnn.ops.matmul import native_element
from textrnn.ops.native_call import call


def dropout_layer_norm(x: Tensor, p: float, *, gain: Tensor, bias: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return what dropout leaves of ``x``, and the layer norm of that.

    In one pass where the C++ library computes; under autocast both results are in autocast's dtype then.

    Args:
        x: (N, D).
        p: the share that is dropped; the rest is scaled by 1 / (1 - p).
        gain: (D,), float32.
        bias: (D,), float32.
        epsilon: what is added to the variance (Ba et al. 2016).

    Returns:
        Both (N, D).

    Raises:
        ValueError: shapes that do not fit.
    """
    if x.dim() != 2 or gain.shape != x.shape[1:] or bias.shape != x.shape[1:]:
        shapes = tuple(gain.shape), tuple(bias.shape)
        raise ValueError(f"x should be (N, D), gain and bias (D,), not {tuple(x.shape)}, {shapes[0]} and {shapes[1]}")
    dtype = torch.get_autocast_dtype("cpu") if x.is_cpu and torch.is_autocast_enabled("cpu") else x.dtype
    both = all(t.dtype == torch.float32 for t in (gain, bias))
    if p == 0 or not both or not native_element(x, gain, bias) or not library.element_of(dtype):
        y = dropout(x, p)
        return y, functional.layer_norm(y, (y.shape[1],), gain, bias, epsilon)
    key = int(torch.randint(2**63 - 1, ()))
    result: tuple[Tensor, Tensor] = _Normalised.apply(x, gain, bias, (1 - p, epsilon, key), dtype)
    return result


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes them so
        ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, drawn: tuple[float, float, int], dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        keep, epsilon, key = drawn
        x, gain, bias = x.contiguous(), gain.contiguous(), bias.contiguous()
        y, n = (torch.empty(x.shape, dtype=dtype) for _ in range(2))
        mean, rstd = (torch.empty(len(x)) for _ in range(2))
        packed = library.NORMED.pack(
            *_addresses(x, y, n, gain, bias, mean, rstd, None, None, None),
            *(*x.shape, library.element_of(x.dtype), library.element_of(dtype), key, keep, epsilon),
        )
        call("layer_norm", packed)
        ctx.keep, ctx.key, ctx.dtype = keep, key, x.dtype
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(y, gain, mean, rstd)
        return y, n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, dn: Tensor | None) -> tuple[Tensor | None, ...]:
        y, gain, mean, rstd = ctx.saved_tensors
        dn = torch.zeros_like(y) if dn is None else dn.contiguous()
        dy = None if dy is None else dy.contiguous()
        dx, dgain, dbias = torch.empty(y.shape, dtype=ctx.dtype), torch.empty_like(gain), torch.empty_like(gain)
        packed = library.NORMED.pack(
            *_addresses(None, y, None, gain, None, mean, rstd, dy, dn, dx),
            *(*y.shape, library.element_of(ctx.dtype), library.element_of(y.dtype), ctx.key, ctx.keep, 0.0),
        )
        call("layer_norm_back", packed, dgain, dbias)
        return dx, dgain, dbias, None, None


def _addresses(*tensors: Tensor | None) -> list[int]:
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
