"""A running mean of the weights, which often does better than the weights themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


class EMA:
    """The exponential moving average of a network's weights (Polyak and Juditsky 1992; Tarvainen and Valpola 2017).

    After step t the mean is ``d mean + (1 - d) weights`` with ``d = min(decay, (1 + t) / (10 + t))``, so that the first
    steps are forgotten soon. Rows of the embedding that a step did not move are caught up with when they are next
    moved, or read: the mean of a weight that stays is known for any number of steps, and no step passes over all rows.
    """

    def __init__(self, embedding: Tensor, network: Mapping[str, Tensor], decay: float) -> None:
        self._embedding, self._network, self._decay = embedding, dict(network), decay
        self._rows = embedding.detach().clone()
        self._means = {name: value.detach().clone() for name, value in network.items()}
        self._log = 0.0  # the logarithm of the product of all decays so far
        self._seen = np.zeros(len(embedding))  # of each row, what it was when the row's mean was last computed

    @torch.no_grad()
    def prepare(self, rows: Tensor) -> None:
        """Catch up with ``rows`` (R,) int64 of the embedding, which are about to be moved."""
        index = rows.cpu().numpy()
        kept = torch.from_numpy(np.exp(self._log - self._seen[index])).to(self._rows)
        self._seen[index] = self._log
        weights = self._embedding[rows]
        self._rows.index_copy_(0, rows, weights.lerp(self._rows[rows], kept[:, None]))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step ``step`` (from 1)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        self._log += math.log(decay)
        for name, mean in self._means.items():
            mean.lerp_(self._network[name].detach(), 1 - decay)

    def read(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the means of the embedding and of the network, which later steps change."""
        self.prepare(torch.arange(len(self._rows), device=self._rows.device))
        return self._rows, self._means

    def export_state(self) -> dict[str, Tensor]:
        """Return everything that going on needs."""
        seen = torch.from_numpy(np.append(self._seen, self._log))
        return {
            "embedding": self._rows,
            "seen": seen,
            **{f"network.{name}": mean for name, mean in self._means.items()},
        }

    def import_state(self, state: Mapping[str, Tensor]) -> None:
        """Set what :meth:`export_state` gave."""
        self._rows.copy_(state["embedding"])
        *seen, self._log = state["seen"].tolist()
        self._seen[:] = seen
        for name, mean in self._means.items():
            mean.copy_(state[f"network.{name}"])
