"""Dropout followed by layer normalization, in one pass over the rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from textrnn.native import functions, library
from textrnn.native.arguments import dtype_name
from textrnn.ops import fused
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.dropout import draw_key, dropout, dropout_columns
from textrnn.ops.matmul import is_native


def dropout_layer_norm(
    x: Tensor, p: float, *, gain: Tensor, bias: Tensor, epsilon: float, layout: BatchLayout | None = None
) -> tuple[Tensor, Tensor]:
    """Return the dropout of ``x``, and the layer norm of that; under autocast both in its dtype on the CPU and CUDA.

    Args:
        x: (N, D).
        p: the share that is dropped; the rest is divided by ``1 - p``.
        gain: (D,), float32.
        bias: (D,), float32.
        epsilon: added to the variance (Ba et al. 2016).
        layout: drops columns of its sequences, as :func:`textrnn.ops.dropout.dropout_columns`; None drops entries.

    Returns:
        Both (N, D).

    Raises:
        ValueError: shapes that do not fit.
    """
    if x.dim() != 2 or gain.shape != x.shape[1:] or bias.shape != x.shape[1:]:
        shapes = tuple(gain.shape), tuple(bias.shape)
        raise ValueError(f"x should be (N, D), gain and bias (D,), not {tuple(x.shape)}, {shapes[0]} and {shapes[1]}")
    device, offsets = x.device.type, None if layout is None else layout.offsets
    is_cast = device in {"cpu", "cuda"} and torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if is_cast else x.dtype
    sequences = None if layout is None else layout.sequences
    if fused.supports(x, gain, bias) and (layout is None or sequences is not None or p == 0):
        return fused.dropout_layer_norm(
            x,
            p,
            gain=gain,
            bias=bias,
            epsilon=epsilon,
            dtype=dtype,
            key=draw_key() if p else 0,
            sequences=sequences if p else None,
        )
    tensors = (x, gain, bias) if offsets is None else (x, gain, bias, offsets)
    is_fused = gain.dtype == bias.dtype == torch.float32 and is_native(*tensors) and dtype_name(dtype) in library.DTYPES
    if not is_fused or (p == 0 and not _has_gradient(x, gain, bias)):
        y = dropout(x, p) if offsets is None else dropout_columns(x, p, offsets)
        return y, functional.layer_norm(y, (y.shape[1],), gain, bias, epsilon)
    key = draw_key() if p else 0
    result: tuple[Tensor, Tensor] = _LayerNorm.apply(
        x, gain, bias, offsets if p else None, (1 - p, epsilon, key), dtype
    )
    return result


def dropout_norm(
    norm: nn.LayerNorm | None, x: Tensor, p: float, *, variational: BatchLayout | None
) -> tuple[Tensor, Tensor]:
    """Return the dropout of ``x`` (N, D), and the ``norm`` of that, or twice the same without a norm.

    ``variational`` is None, or the layout of the sequences, which then lose the same columns in all of their rows.
    """
    if norm is not None:
        return dropout_layer_norm(x, p, gain=norm.weight, bias=norm.bias, epsilon=norm.eps, layout=variational)
    x = dropout(x, p) if variational is None else dropout_columns(x, p, variational.offsets)
    return x, x


def _has_gradient(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes them so
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        bias: Tensor,
        offsets: Tensor | None,
        drawn: tuple[float, float, int],
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        ctx.keep, epsilon, ctx.key = drawn
        x, gain, bias = x.contiguous(), gain.contiguous(), bias.contiguous()
        offsets = None if offsets is None else offsets.contiguous()
        is_copied = ctx.keep < 1 or x.dtype != dtype
        y = torch.empty(x.shape, dtype=dtype) if is_copied else x
        n = torch.empty(x.shape, dtype=dtype)
        mean, rstd = torch.empty(len(x)), torch.empty(len(x))
        functions.layer_norm(
            x=x, n=n, gain=gain, bias=bias, epsilon=epsilon, keep=ctx.keep, key=ctx.key, offsets=offsets,
            y=y if is_copied else None, mean=mean, rstd=rstd, threads=torch.get_num_threads(),
        )  # fmt: skip
        ctx.dtype, ctx.offsets = x.dtype, offsets
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
        functions.layer_norm_back(
            y=y, dx=dx, gain=gain, mean=mean, rstd=rstd, dy=dy, dn=dn, dgain=dgain, dbias=dbias, keep=ctx.keep,
            key=ctx.key, offsets=ctx.offsets, threads=torch.get_num_threads(),
        )  # fmt: skip
        return dx, dgain, dbias, None, None, None
