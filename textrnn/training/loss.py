"""What a text's scores cost: cross entropy, with weights of classes, smoothed labels, and focus on the difficult."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from textrnn.config import TrainConfig
from textrnn.errors import ConfigError

NO_CLASS = -1
"""The class of a text that does not count."""


class TextLoss(nn.Module):
    """The loss of a batch, summed over its texts.

    A text of class y with probability p costs ``w_y (1 - p)^gamma H``, where H is the cross entropy against the target
    that has ``1 - eps`` at y and ``eps / C`` at every class (label smoothing, Szegedy et al. 2016), gamma that of the
    focal loss (Lin et al. 2017), and w_y the weight of the class. ``balanced`` weights are ``n / (C n_y)``, as
    scikit-learn's: their mean over the ``n`` texts is 1.

    Args:
        labels: of the C classes.
        counts: texts of each class in training.

    Raises:
        ConfigError: ``train.class_weights`` names a label that is not there.
    """

    weights: Tensor | None

    def __init__(self, config: TrainConfig, *, labels: Sequence[str], counts: Sequence[int]) -> None:
        super().__init__()
        self._smoothing, self._gamma = config.label_smoothing, config.focal_gamma
        self.register_buffer("weights", _weigh(config, labels, counts), persistent=False)

    def forward(self, scores: Tensor, classes: Tensor) -> Tensor:
        """Return the loss () of ``scores`` (B, C) float32 for ``classes`` (B,) int64; NO_CLASS counts nothing."""
        plain = self.weights is None and not self._gamma
        losses = functional.cross_entropy(
            scores,
            classes,
            ignore_index=NO_CLASS,
            label_smoothing=self._smoothing,
            reduction="sum" if plain else "none",
        )
        if plain:
            return losses
        known = classes.clamp(min=0)
        if self._gamma:
            probability = scores.softmax(dim=1).gather(1, known[:, None])[:, 0]
            losses = losses * (1 - probability).clamp(min=0) ** self._gamma
        if self.weights is not None:
            losses = losses * self.weights[known]
        return losses.sum()


def _weigh(config: TrainConfig, labels: Sequence[str], counts: Sequence[int]) -> Tensor | None:
    wanted = config.class_weights
    if wanted is None:
        return None
    if wanted == "balanced":
        return sum(counts) / (len(counts) * torch.tensor(counts, dtype=torch.float32).clamp(min=1))
    if unknown := sorted(wanted.keys() - set(labels)):
        raise ConfigError(f"train.class_weights: no text of the training text has the label '{unknown[0]}'")
    return torch.tensor([wanted.get(label, 1.0) for label in labels])
