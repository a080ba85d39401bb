"""A step of AdamW on a CUDA device, which the host never waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from textrnn.training.optimizer import ParameterState


@dataclass(frozen=True)
class Settings:
    """The settings of AdamW; gradients are clipped to ``clip_norm``, and ``clip_epsilon`` is added to their norm."""

    betas: tuple[float, float]
    epsilon: float
    clip_norm: float
    clip_epsilon: float


def fused_step(
    gradients: Sequence[tuple[ParameterState, Tensor, Tensor | None]],
    settings: Settings,
    *,
    lr: float,
    scale: float | Tensor,
    steps: int,
    weights: Tensor | None,
) -> Tensor:
    """Update all parameters in step ``steps`` (from 1) by their gradients, over the loss ``scale``, clipped together.

    The last gradient (R, D) is of rows of the embedding, which come with it. ``weights`` (R, D) is a copy of these rows
    if there is one.

    Returns:
        A tensor () that is 0, or NaN if a gradient was not finite and nothing changed.
    """
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm([gradient for _, gradient, _ in gradients])))
    # the norm of the gradients over the scale is clipped: both factors as one divisor
    divisor = (norm + settings.clip_epsilon * scale) / settings.clip_norm
    divisor = torch.maximum(divisor, scale) if isinstance(scale, Tensor) else divisor.clamp(min=scale)
    flaw: Tensor = norm * 0
    groups: dict[float, list[tuple[Tensor, ...]]] = {}
    for state, gradient, _ in gradients[:-1]:
        groups.setdefault(state.decay, []).append((state.weight, gradient, state.mean, state.square))
    embedding, gradient, rows = gradients[-1]
    assert rows is not None
    whole = (embedding.weight, embedding.mean, embedding.square)
    read = [t.index_select(0, rows) if t is not embedding.weight or weights is None else weights for t in whole]
    groups.setdefault(embedding.decay, []).append((read[0], gradient, *read[1:]))
    _update(groups, settings, lr=lr, divisor=divisor, flaw=flaw, steps=steps)
    for tensor, part in zip(whole, read, strict=True):
        tensor.index_copy_(0, rows, part)
    return flaw


def _update(
    groups: dict[float, list[tuple[Tensor, ...]]],
    settings: Settings,
    *,
    lr: float,
    divisor: Tensor,
    flaw: Tensor,
    steps: int,
) -> None:
    """Update tensors with their gradients and moments, by their weight decay, unless ``flaw`` is NaN."""
    found, count = torch.ne(flaw, 0, out=torch.empty_like(flaw)), torch.full_like(flaw, steps)
    for decay, group in groups.items():
        weights, gradients, means, squares = (list(tensors) for tensors in zip(*group, strict=True))
        torch._fused_adamw_(
            weights,
            gradients,
            means,
            squares,
            [],
            [count] * len(weights),
            lr=lr,
            beta1=settings.betas[0],
            beta2=settings.betas[1],
            weight_decay=decay,
            eps=settings.epsilon,
            amsgrad=False,
            maximize=False,
            grad_scale=divisor,
            found_inf=found,
        )
