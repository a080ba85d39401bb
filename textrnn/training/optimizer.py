"""AdamW, lazy over the embedding, and the schedules of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from textrnn.config import TrainConfig
from textrnn.ops.adamw import NativeStep, ParameterState

_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # torch's own defaults
_CLIP_EPSILON = 1e-6  # as torch.nn.utils.clip_grad_norm_ adds to the norm


class AdamW:
    """AdamW (Loshchilov and Hutter 2019) over a network; over its embedding it is lazy.

    Only matrices are decayed, not biases, norms, or the vectors of SRU's gates. Of the embedding a step moves and
    decays only the rows that it read, and their moments, as ``torch.optim.SparseAdam`` does: a pass over the whole
    matrix would take as long as the rest of a small step. The bias corrections go by the number of steps of the run.
    On the CPU the C++ library makes the whole step, elsewhere ``torch.optim.AdamW`` does.
    """

    def __init__(self, embedding: Tensor, network: Mapping[str, nn.Parameter], config: TrainConfig) -> None:
        decay, self._clip_norm = config.weight_decay, config.clip_norm
        self._embedding = _follow(embedding, decay)
        self._network = {name: _follow(p, decay if p.dim() == 2 else 0.0) for name, p in network.items()}
        self.steps = 0
        moved = (self._embedding, *self._network.values())
        self._adam = None if all(m.is_native for m in moved) else self._make_adam(embedding.device)

    def step(self, rows: Tensor, gradient: Tensor, *, lr: float, scale: float = 1.0) -> bool:
        """Move the network by its gradients, which are forgotten, and ``rows`` (R,) of the embedding by ``gradient``.

        Args:
            rows: int64, each of them once.
            gradient: (R, D).
            lr: the learning rate.
            scale: what all gradients were multiplied by; they are divided by it, then clipped together.

        Returns:
            Whether it moved: it does not where the gradients are not finite. The step counts either way.
        """
        self.steps += 1
        gradients = {name: m.weight.grad for name, m in self._network.items() if m.weight.grad is not None}
        parts: list[tuple[ParameterState, Tensor, Tensor | None]] = [
            (self._network[n], g, None) for n, g in gradients.items()
        ]
        parts.append((self._embedding, gradient, rows))
        step = NativeStep(parts) if self._adam is None else _TorchStep(self._adam, parts)
        norm = step.norm() / scale
        moves = math.isfinite(norm)
        if moves:
            factor = min(1.0, self._clip_norm / (norm + _CLIP_EPSILON)) / scale
            step.move(lr=lr, scale=factor, betas=_BETAS, epsilon=_EPSILON, steps=self.steps)
        else:
            self._count()
        for moved in self._network.values():
            moved.weight.grad = None
        return moves

    def _make_adam(self, device: torch.device) -> torch.optim.AdamW:
        groups = [{"params": [m.weight], "weight_decay": m.decay} for m in self._network.values()]
        adam = torch.optim.AdamW(groups, betas=_BETAS, eps=_EPSILON, fused=device.type in ("cpu", "cuda"))
        for moved in self._network.values():
            step = torch.zeros((), device=device)
            adam.state[moved.weight] = {"step": step, "exp_avg": moved.mean, "exp_avg_sq": moved.square}
        return adam

    def export_state(self) -> dict[str, Tensor]:
        """Return the moments by the names of what they belong to."""
        every = {"embedding": self._embedding, **self._network}
        means = {f"{name}.mean": moved.mean for name, moved in every.items()}
        return means | {f"{name}.square": moved.square for name, moved in every.items()}

    def import_state(self, state: Mapping[str, Tensor], *, steps: int) -> None:
        """Set the moments from what :meth:`export_state` gave after ``steps`` steps."""
        self.steps = steps
        for name, tensor in self.export_state().items():
            tensor.copy_(state[name])
        self._count()

    def _count(self) -> None:
        """Tell torch's optimiser the number of steps, of which it knows those that it made itself."""
        for state in self._adam.state.values() if self._adam else ():
            state["step"].fill_(self.steps)


class _TorchStep:
    """What :class:`textrnn.ops.adamw.NativeStep` is, by torch: its own AdamW but for the rows, which come last."""

    def __init__(
        self, adam: torch.optim.AdamW, gradients: Sequence[tuple[ParameterState, Tensor, Tensor | None]]
    ) -> None:
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


def _follow(weight: Tensor, decay: float) -> ParameterState:
    """Return ``weight`` with moments of a run's beginning."""
    mean, square = (torch.zeros_like(weight, requires_grad=False) for _ in range(2))
    return ParameterState(weight, mean, square, decay)
