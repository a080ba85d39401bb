"""Parameters that move slowly: those that a training takes from a starter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from textrnn.models.classifier import Classifier

STARTER_SHARE = 0.1
"""The learning rate of what comes from a starter, relative to that of the output layer."""


class SlowParameters:
    """Parameters that follow each update of the optimizer by a share of the way.

    With AdamW this equals a learning rate of that share for them (discriminative fine-tuning, Howard and Ruder 2018,
    arXiv 1801.06146).

    Args:
        embedding: (V, D), of which a step updates some rows.
        network: the other parameters.
        share: the part of each update that they make.
    """

    def __init__(self, embedding: Tensor, network: Iterable[Tensor], *, share: float) -> None:
        self._embedding, self._network, self.share = embedding, list(network), share

    @classmethod
    def of(cls, model: Classifier) -> SlowParameters:
        """Return all parameters of ``model`` but those of its output layer."""
        network = (value for name, value in model.network().items() if not name.startswith("head."))
        return cls(model.embedding.weight, network, share=STARTER_SHARE)

    @contextmanager
    def slowed(self, rows: Tensor) -> Iterator[None]:
        """Slow an update of ``rows`` (R,) int64 of the embedding and of the network, which the block makes."""
        with torch.no_grad():
            read = self._embedding.index_select(0, rows)
            before = [parameter.clone() for parameter in self._network]
        yield
        with torch.no_grad():
            moved = self._embedding.index_select(0, rows)
            self._embedding.index_copy_(0, rows, read.lerp_(moved, self.share))
            for parameter, start in zip(self._network, before, strict=True):
                parameter.copy_(start.lerp_(parameter, self.share))
