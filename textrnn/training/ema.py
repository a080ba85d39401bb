"""An exponential moving average of the weights, which often generalizes better than the weights themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from textrnn.ops.batch_layout import send


class EMA:
    """The exponential moving average of a network's weights (Polyak and Juditsky 1992; Tarvainen and Valpola 2017).

    Step t sets the mean to ``d mean + (1 - d) weights`` with ``d = min(decay, (1 + t) / (10 + t))``: the weights of the
    first steps fade quickly. No step visits all rows of the embedding. A row that stays the same for several steps has
    a mean in closed form, computed before the row next changes or is read.
    """

    def __init__(self, embedding: Tensor, network: Mapping[str, Tensor], decay: float) -> None:
        self._embedding, self._network, self._decay = embedding, dict(network), decay
        self._rows = embedding.detach().clone()
        self._means = {name: value.detach().clone() for name, value in network.items()}
        self._log = 0.0  # the logarithm of the product of all decays so far
        self._row_log = np.zeros(len(embedding))  # the same at the time each row's mean was last computed

    def fade(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the share (R,) of the means of ``rows`` (R,) of the embedding that :meth:`prepare` keeps.

        It computes on the host, and counts on :meth:`prepare` for the same rows.
        """
        kept = np.exp(self._log - self._row_log[rows])
        self._row_log[rows] = self._log
        return kept.astype(np.float32)

    @torch.no_grad()
    def prepare(self, rows: Tensor, kept: Tensor, weights: Tensor | None = None) -> None:
        """Bring the means of ``rows`` (R,) int64 of the embedding up to date, before the optimizer updates them.

        ``kept`` (R,) float32 is what :meth:`fade` returned for them, and ``weights`` (R, D) what they hold now.
        """
        weights = self._embedding[rows] if weights is None else weights
        self._rows.index_copy_(0, rows, weights.lerp(self._rows[rows], kept[:, None]))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after step ``step`` (from 1) to the mean."""
        decay = min(self._decay, (1 + step) / (10 + step))
        self._log += math.log(decay)
        weights = [self._network[name].detach() for name in self._means]
        torch._foreach_lerp_(list(self._means.values()), weights, 1 - decay)

    def read(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the means of the embedding and of the network; later steps change them in place."""
        rows = np.arange(len(self._rows))
        self.prepare(*send((rows, self.fade(rows)), self._rows.device))
        return self._rows, self._means

    def export_state(self) -> dict[str, Tensor]:
        """Return the state that a resumed run needs."""
        logs = torch.from_numpy(np.append(self._row_log, self._log))
        means = {f"network.{name}": mean for name, mean in self._means.items()}
        return {"embedding": self._rows, "seen": logs, **means}

    def import_state(self, state: Mapping[str, Tensor]) -> None:
        """Set the state that :meth:`export_state` returned."""
        self._rows.copy_(state["embedding"])
        *logs, self._log = state["seen"].tolist()
        self._row_log[:] = logs
        for name, mean in self._means.items():
            mean.copy_(state[f"network.{name}"])
