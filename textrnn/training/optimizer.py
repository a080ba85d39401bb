"""AdamW for a network, lazy for its embedding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from textrnn.config import TrainConfig
from textrnn.native import functions, library

_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # torch's own defaults
_CLIP_EPSILON = 1e-6  # as torch.nn.utils.clip_grad_norm_ adds to the norm


@dataclass(frozen=True)
class ParameterState:
    """A tensor with its moments, of the same shape, and its weight decay."""

    weight: Tensor
    mean: Tensor
    square: Tensor
    decay: float

    @property
    def is_native(self) -> bool:
        """Support by the C++ library, which updates float32 on the CPU."""
        tensors = (self.weight, self.mean, self.square)
        fit = all(t.is_cpu and t.dtype == torch.float32 and t.is_contiguous() for t in tensors)
        return fit and library.is_available()

    @property
    def is_fused(self) -> bool:
        """Support by :func:`fused_step`."""
        return self.weight.is_cuda


_Gradient = tuple[ParameterState, Tensor, Tensor | None]  # the gradient of a tensor, or of these rows of it


class AdamW:
    """AdamW (Loshchilov and Hutter 2019).

    Only matrices decay; biases, norms and the vectors of SRU's gates do not. A step updates and decays only the rows of
    the embedding that it read, and their moments, as ``torch.optim.SparseAdam``: a pass over the whole matrix would
    take as long as the rest of a small step. The bias corrections use the number of steps of the run. On the CPU the
    C++ library makes the whole step, five times as fast as ``torch.optim.AdamW``; on CUDA :func:`fused_step`.
    """

    def __init__(self, embedding: Tensor, network: Mapping[str, nn.Parameter], config: TrainConfig) -> None:
        decay, self._clip_norm = config.weight_decay, config.clip_norm
        self._embedding = _make_state(embedding, decay)
        self._network = {name: _make_state(p, decay if p.dim() == 2 else 0.0) for name, p in network.items()}
        self.steps = 0
        states = (self._embedding, *self._network.values())
        self._is_fused = self._embedding.is_fused
        is_native = all(state.is_native for state in states)
        self._adam = None if is_native or self._is_fused else self._make_adam(embedding.device)

    def step(
        self,
        rows: Tensor,
        gradient: Tensor,
        *,
        lr: float,
        scale: float | Tensor = 1.0,
        weights: Tensor | None = None,
    ) -> bool | Tensor:
        """Update the network by its gradients, and ``rows`` (R,) of the embedding by ``gradient``; clear the gradients.

        Args:
            rows: int64, distinct.
            gradient: (R, D).
            lr: the learning rate.
            scale: the loss scale; gradients are divided by it, then clipped together.
            weights: (R, D), a copy of the rows if there is one; it changes.

        Returns:
            Whether it updated: it skips gradients that are not finite. The step counts in either case. On CUDA a tensor
            () instead, which is 0, or NaN if it skipped: the host need not wait.
        """
        self.steps += 1
        gradients = {name: m.weight.grad for name, m in self._network.items() if m.weight.grad is not None}
        parts: list[_Gradient] = [(self._network[n], g, None) for n, g in gradients.items()]
        parts.append((self._embedding, gradient, rows))
        updated: bool | Tensor
        if self._is_fused:
            clip = self._clip_norm
            updated = fused_step(parts, clip_norm=clip, lr=lr, scale=scale, steps=self.steps, weights=weights)
        else:
            updated = self._move(parts, lr, float(scale))
        for moved in self._network.values():
            moved.weight.grad = None
        return updated

    def _move(self, parts: list[_Gradient], lr: float, scale: float) -> bool:
        step = NativeStep(parts) if self._adam is None else _TorchStep(self._adam, parts)
        norm = step.norm() / scale
        is_finite = math.isfinite(norm)
        if is_finite:
            factor = min(1.0, self._clip_norm / (norm + _CLIP_EPSILON)) / scale
            step.move(lr=lr, scale=factor, betas=_BETAS, epsilon=_EPSILON, steps=self.steps)
        else:
            self._count()
        return is_finite

    def _make_adam(self, device: torch.device) -> torch.optim.AdamW:
        groups = [{"params": [m.weight], "weight_decay": m.decay} for m in self._network.values()]
        adam = torch.optim.AdamW(groups, betas=_BETAS, eps=_EPSILON, fused=device.type == "cpu")
        for moved in self._network.values():
            step = torch.zeros((), device=device)
            adam.state[moved.weight] = {"step": step, "exp_avg": moved.mean, "exp_avg_sq": moved.square}
        return adam

    def export_state(self) -> dict[str, Tensor]:
        """Return the moments by the names of their parameters."""
        states = {"embedding": self._embedding, **self._network}
        means = {f"{name}.mean": moved.mean for name, moved in states.items()}
        return means | {f"{name}.square": moved.square for name, moved in states.items()}

    def import_state(self, state: Mapping[str, Tensor], *, steps: int) -> None:
        """Set the moments to those that :meth:`export_state` returned after ``steps`` steps."""
        self.steps = steps
        for name, tensor in self.export_state().items():
            tensor.copy_(state[name])
        self._count()

    def _count(self) -> None:
        """Set the number of steps of torch's optimizer, which does not count skipped ones."""
        for state in self._adam.state.values() if self._adam else ():
            state["step"].fill_(self.steps)


class NativeStep:
    """A step of AdamW in the C++ library, over tensors that are all native.

    Each gradient comes with its tensor, and with rows (R,) int64, distinct, if the gradient (R, D) is of these rows of
    a matrix (V, D) alone.
    """

    def __init__(self, gradients: Sequence[_Gradient]) -> None:
        self._held = [
            {**vars(p), "gradient": g.contiguous(), "rows": None if rows is None else rows.contiguous()}
            for p, g, rows in gradients
        ]
        self._parameters = np.frombuffer(b"".join(functions.PARAMETER.pack(**held) for held in self._held), np.uint8)

    def norm(self) -> float:
        """Return the Euclidean norm of all gradients together."""
        total = np.empty(1)
        functions.squares(parameters=self._parameters, total=total, threads=torch.get_num_threads())
        return math.sqrt(total[0])

    def move(self, *, lr: float, scale: float, betas: tuple[float, float], epsilon: float, steps: int) -> None:
        """Update all by ``scale`` times their gradients in step ``steps`` (from 1), as ``torch.optim.AdamW`` does."""
        beta1, beta2 = betas
        functions.adamw(
            parameters=self._parameters,
            lr=lr,
            scale=scale,
            beta1=beta1,
            beta2=beta2,
            step=lr / (1 - beta1**steps),
            root=(1 - beta2**steps) ** -0.5,
            epsilon=epsilon,
            threads=torch.get_num_threads(),
        )


class _TorchStep:
    """The step of :class:`NativeStep` in torch; the last part is the embedding, with rows."""

    def __init__(self, adam: torch.optim.AdamW, gradients: Sequence[_Gradient]) -> None:
        self._adam, self._every = adam, [gradient for _, gradient, _ in gradients]
        self._embedding, self._gradient, rows = gradients[-1]
        assert rows is not None
        self._rows = rows

    def norm(self) -> float:
        return float(torch.stack(torch._foreach_norm(self._every)).norm())

    @torch.no_grad()
    def move(self, *, lr: float, scale: float, betas: tuple[float, float], epsilon: float, steps: int) -> None:
        torch._foreach_mul_(self._every, scale)
        for group in self._adam.param_groups:
            group["lr"] = lr
        self._adam.step()
        of, rows, g = (self._embedding.weight, self._embedding.mean, self._embedding.square), self._rows, self._gradient
        weight, mean, square = (whole[rows] for whole in of)
        mean.lerp_(g, 1 - betas[0])
        square.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
        spread = square.sqrt().div_((1 - betas[1] ** steps) ** 0.5).add_(epsilon)
        weight.mul_(1 - lr * self._embedding.decay).addcdiv_(mean, spread, value=-lr / (1 - betas[0] ** steps))
        for whole, part in zip(of, (weight, mean, square), strict=True):
            whole.index_copy_(0, rows, part)


@torch.no_grad()
def fused_step(
    gradients: Sequence[_Gradient],
    *,
    clip_norm: float,
    lr: float,
    scale: float | Tensor,
    steps: int,
    weights: Tensor | None,
) -> Tensor:
    """Update all parameters in step ``steps`` (from 1) by their gradients, over the loss ``scale``, clipped together to
    ``clip_norm``.

    The last gradient (R, D) is of rows of the embedding, which come with it. ``weights`` (R, D) is a copy of these rows
    if there is one.

    Returns:
        A tensor () that is 0, or NaN if a gradient was not finite and nothing changed.
    """
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm([gradient for _, gradient, _ in gradients])))
    # the norm of the gradients over the scale is clipped: both factors as one divisor
    divisor = (norm + _CLIP_EPSILON * scale) / clip_norm
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
    _update(groups, lr=lr, divisor=divisor, flaw=flaw, steps=steps)
    for tensor, part in zip(whole, read, strict=True):
        tensor.index_copy_(0, rows, part)
    return flaw


def _update(
    groups: dict[float, list[tuple[Tensor, ...]]],
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
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            weight_decay=decay,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
            grad_scale=divisor,
            found_inf=found,
        )


def _make_state(weight: Tensor, decay: float) -> ParameterState:
    """Return ``weight`` with zero moments."""
    mean, square = (torch.zeros_like(weight, requires_grad=False) for _ in range(2))
    return ParameterState(weight, mean, square, decay)
