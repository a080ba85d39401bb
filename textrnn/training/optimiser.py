"""AdamW, lazy over the embedding, and a learning rate that rises and then falls in straight lines."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from textrnn.config import TrainConfig
from textrnn.ops.adamw import move_rows_natively

_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # torch's own defaults


class Optimiser:
    """AdamW (Loshchilov and Hutter 2019) over a network; over its embedding it is lazy.

    Only matrices are decayed, not biases, norms, or the vectors of SRU's gates. Of the embedding a step moves and
    decays only the rows that it read, and their moments, as ``torch.optim.SparseAdam`` does: a pass over the whole
    matrix would take as long as the rest of a small step. The bias corrections go by the number of steps of the run.
    """

    def __init__(self, embedding: Tensor, network: Mapping[str, nn.Parameter], config: TrainConfig) -> None:
        self._embedding, self._network, self._config = embedding, dict(network), config
        matrices = [p for p in network.values() if p.dim() == 2]
        others = [p for p in network.values() if p.dim() != 2]
        groups = [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        fused = embedding.device.type in ("cpu", "cuda")
        self._adam = AdamW(groups, lr=config.lr, betas=_BETAS, eps=_EPSILON, fused=fused)
        self._mean, self._square = torch.zeros_like(embedding), torch.zeros_like(embedding)
        self.steps = 0

    def step(self, rows: Tensor, gradient: Tensor, *, lr: float) -> None:
        """Move the network by its gradients, which are forgotten, and ``rows`` (R,) of the embedding by ``gradient``.

        Args:
            rows: int64, each of them once.
            gradient: (R, D).
            lr: the learning rate.
        """
        self.steps += 1
        for group in self._adam.param_groups:
            group["lr"] = lr
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        self._move_rows(rows, gradient, lr)

    @torch.no_grad()
    def _move_rows(self, rows: Tensor, gradient: Tensor, lr: float) -> None:
        beta1, beta2 = _BETAS
        decay, step, root = (
            1 - lr * self._config.weight_decay,
            lr / (1 - beta1**self.steps),
            (1 - beta2**self.steps) ** 0.5,
        )
        of = (self._embedding, self._mean, self._square)
        moments = {"mean": self._mean, "square": self._square}
        if move_rows_natively(
            self._embedding,
            **moments,
            gradient=gradient,
            rows=rows,
            rates=(beta1, beta2, decay, step, 1 / root, _EPSILON),
        ):
            return
        weight = self._embedding[rows]
        mean = self._mean[rows].lerp_(gradient, 1 - beta1)
        square = self._square[rows].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        weight.mul_(decay).addcdiv_(mean, square.sqrt().div_(root).add_(_EPSILON), value=-step)
        for whole, part in zip(of, (weight, mean, square), strict=True):
            whole.index_copy_(0, rows, part)

    def export_state(self) -> dict[str, Tensor]:
        """Return the moments by the names of what they belong to."""
        state = {"embedding.mean": self._mean, "embedding.square": self._square}
        for name, parameter in self._network.items():
            moments = self._adam.state[parameter]
            if moments:
                state |= {f"{name}.mean": moments["exp_avg"], f"{name}.square": moments["exp_avg_sq"]}
        return state

    def import_state(self, state: Mapping[str, Tensor], *, steps: int) -> None:
        """Set the moments from what :meth:`export_state` gave after ``steps`` steps."""
        self.steps = steps
        self._mean.copy_(state["embedding.mean"])
        self._square.copy_(state["embedding.square"])
        for name, parameter in self._network.items():
            if f"{name}.mean" in state:
                self._adam.state[parameter] = {
                    "step": torch.tensor(float(steps), device=parameter.device),
                    "exp_avg": state[f"{name}.mean"].to(parameter.device),
                    "exp_avg_sq": state[f"{name}.square"].to(parameter.device),
                }


def rate_factor(step: int, *, steps: int, warmup: float) -> float:
    """Return what the highest rate is multiplied by in ``step`` (from 0): up from near 0 in the share ``warmup`` of
    ``steps``, then down to 0."""
    rise = max(1, round(steps * warmup))
    return min((step + 1) / rise, max(0.0, (steps - step) / max(1, steps - rise)))
