"""What a text's scores cost: cross entropy, with weights of classes, smoothed labels, and focus on the difficult."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from textrnn.config import TrainConfig
from textrnn.data.batch import Classes
from textrnn.data.labels import MultiLabelSet
from textrnn.errors import ConfigError

_LEAST = 1e-7  # of 1 - p in the focal loss: the slope of a root of 0 is infinite


class TextLoss(nn.Module):
    """The loss of a batch, summed over its texts.

    A text of class y with probability p costs ``w_y (1 - p)^gamma H``, where H is the cross entropy against the target
    that has ``1 - eps`` at y and ``eps / C`` at every class (label smoothing, Szegedy et al. 2016), gamma that of the
    focal loss (Lin et al. 2017), and w_y the weight of the class. ``balanced`` weights are ``n / (C n_y)``, as
    scikit-learn's: their mean over the ``n`` texts is 1.

    Where texts have several labels it is the binary cross entropy of each label, added up, with p the probability of
    what is right, ``eps / 2`` in place of ``eps / C``, and weights of the texts that have the label; ``balanced``
    weighs these ``n / (2 n_y)`` and the others ``n / (2 (n - n_y))``.

    Args:
        labels: of the C classes.
        counts: texts of each class in training.
        texts: how many there are, where a text may have several labels.

    Raises:
        ConfigError: ``train.class_weights`` names a label that is not there.
    """

    weights: Tensor | None
    others: Tensor | None

    def __init__(
        self, config: TrainConfig, *, labels: Sequence[str], counts: Sequence[int], texts: int | None = None
    ) -> None:
        super().__init__()
        self._smoothing, self._gamma = config.label_smoothing, config.focal_gamma
        weights, others = weigh_classes(config, labels, counts=counts, texts=texts)
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("others", others, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss () of ``logits`` (B, C) float32 for ``targets``, as ``targets.make_targets`` gives them."""
        return self._sum_classes(logits, targets) if targets.dim() == 1 else self._sum_labels(logits, targets)

    def compare(self, first: Tensor, second: Tensor, targets: Tensor) -> Tensor:
        """Return how far two logits (B, C) of the same texts are apart, () summed over texts that count.

        That is the mean of the Kullback-Leibler divergences of the probabilities, either way (R-Drop's L_KL, Liang et
        al. 2021, equation 2), of each label by itself and added up where texts may have several.
        """
        if targets.dim() == 1:
            p, q = first.log_softmax(dim=1), second.log_softmax(dim=1)
            apart, counts = ((p.exp() - q.exp()) * (p - q)).sum(dim=1), targets != NO_CLASS
        else:
            apart, counts = (first.sigmoid() - second.sigmoid()) * (first - second), targets >= 0
        return torch.where(counts, apart, 0.0).sum() / 2

    def _sum_classes(self, logits: Tensor, classes: Tensor) -> Tensor:
        plain = self.weights is None and not self._gamma
        losses = functional.cross_entropy(
            logits,
            classes,
            ignore_index=NO_CLASS,
            label_smoothing=self._smoothing,
            reduction="sum" if plain else "none",
        )
        if plain:
            return losses
        known = classes.clamp(min=0)
        if self._gamma:
            probability = logits.softmax(dim=1).gather(1, known[:, None])[:, 0]
            losses = losses * (1 - probability).clamp(min=_LEAST) ** self._gamma
        if self.weights is not None:
            losses = losses * self.weights[known]
        return losses.sum()

    def _sum_labels(self, logits: Tensor, targets: Tensor) -> Tensor:
        counts, has = (targets >= 0).to(logits.dtype), targets > 0
        smoothed = targets.clamp(min=0) * (1 - self._smoothing) + self._smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(logits, smoothed, weight=counts, reduction="none")
        if self._gamma:
            losses = losses * torch.where(has, -logits, logits).sigmoid().clamp(min=_LEAST) ** self._gamma
        if self.weights is not None and self.others is not None:
            losses = losses * torch.where(has, self.weights, self.others)
        return losses.sum()


def weigh_classes(
    config: TrainConfig, labels: Sequence[str], *, counts: Sequence[int], texts: int | None
) -> tuple[Tensor | None, Tensor | None]:
    """Return the weights (C,) float32 of texts with a label, and (C,) of those without it, where they may have several.

    Raises:
        ConfigError: ``train.class_weights`` names a label that is not there.
    """
    wanted = config.class_weights
    if wanted is None:
        return None, None
    if wanted == "balanced":
        n = torch.tensor(counts, dtype=torch.float32)
        if texts is None:
            return sum(counts) / (len(counts) * n.clamp(min=1)), None
        return texts / (2 * n.clamp(min=1)), texts / (2 * (texts - n).clamp(min=1))
    if unknown := sorted(wanted.keys() - set(labels)):
        raise ConfigError(f"train.class_weights: no text of the training text has the label '{unknown[0]}'")
    weights = torch.tensor([wanted.get(label, 1.0) for label in labels])
    return weights, None if texts is None else torch.ones(len(labels))


NO_CLASS = -1
"""The class of a text that does not count."""


def make_targets(classes: Classes, sets: MultiLabelSet | None, C: int) -> npt.NDArray[Any]:
    """Return what the logits (B, C) of texts with ``classes`` (B,) are held against; -1 does not count.

    Without ``sets`` it is the classes (B,) int64, with them (B, C) float32: 1 where a text has the label, else 0.
    """
    if sets is None:
        return classes
    targets = np.full((len(classes), C), NO_CLASS, np.float32)
    known = classes >= 0
    targets[known] = sets.to_multi_hot(classes[known])[:, :C]
    return targets


def sum_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the sum of the losses of all texts, in nats: minus the logarithm of the probability of what is right.

    By softmax for classes. For labels by a sigmoid each, as if they did not depend on one another: the binary
    cross-entropy, added up over the labels.
    """
    if targets.dim() == 1:
        return functional.cross_entropy(logits, targets, reduction="sum", ignore_index=NO_CLASS)
    counts = (targets >= 0).to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, targets.clamp(min=0), weight=counts, reduction="sum")
