"""The training loss: cross entropy with class weights, smoothing and the focal loss; its targets and its fp16 scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from textrnn.config import TrainConfig
from textrnn.data.batch import Classes, SoftLabels
from textrnn.data.labels import MultiLabelSet
from textrnn.errors import ConfigError

_FIRST_SCALE, _STEPS_TO_RAISE = 2.0**16, 2000  # as torch.amp.GradScaler's
_MIN_ERROR = 1e-7  # of 1 - p in the focal loss: for gamma < 1 the slope is infinite at 0


class TextLoss(nn.Module):
    """The loss of a batch, summed over its texts.

    The loss of a text of class y with probability p is ``w_y (1 - p)^gamma H``. H is the cross entropy against the
    target distribution ``(1 - eps) [class is y] + eps / C`` (label smoothing, Szegedy et al. 2016), gamma the exponent
    of the focal loss (Lin et al. 2017), and w_y the weight of the class. ``balanced`` weights are ``n / (C n_y)``, as
    in scikit-learn: their mean over the ``n`` texts is 1. For a text with a distribution q over the classes, q replaces
    ``[class is y]``, p is the sum of q times the predicted probabilities, and w_y that of q times the weights. The loss
    of a text is multiplied by the text's own weight.

    The multi-label loss is the sum over the labels of their binary cross entropies, with p the probability of the right
    answer and ``eps / 2`` instead of ``eps / C``. Weights apply to the texts that have the label; ``balanced`` weights
    are ``n / (2 n_y)`` for these and ``n / (2 (n - n_y))`` for the others.

    Args:
        labels: the C labels.
        counts: the number of training texts of each; a text with a distribution counts by its probabilities.
        texts: the number of all training texts if the data set is multi-label, else None.

    Raises:
        ConfigError: ``train.class_weights`` names an unknown label.
    """

    weights: Tensor | None
    others: Tensor | None

    def __init__(
        self, config: TrainConfig, *, labels: Sequence[str], counts: Sequence[float], texts: int | None = None
    ) -> None:
        super().__init__()
        self.smoothing, self._gamma, self.is_multi_label = config.label_smoothing, config.focal_gamma, texts is not None
        weights, others = weigh_classes(config, labels, counts=counts, texts=texts)
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("others", others, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor, text_weights: Tensor | None = None) -> Tensor:
        """Return the loss () of ``logits`` (B, C) float32 for ``targets``, as :func:`make_targets` returns them.

        ``text_weights`` (B,) float32 are the weights of the texts; None: all are 1.
        """
        if self.is_multi_label:
            losses = self._compare_labels(logits, targets).sum(dim=1)
        elif targets.dim() == 2:
            losses = self._compare_distributions(logits, targets)
        elif self.is_plain and text_weights is None:
            return self._compare_classes(logits, targets, reduction="sum")
        else:
            losses = self._compare_classes(logits, targets)
        return (losses if text_weights is None else losses * text_weights).sum()

    @property
    def is_plain(self) -> bool:
        """True without class weights and focal loss."""
        return self.weights is None and not self._gamma

    def divergence(self, first: Tensor, second: Tensor, targets: Tensor, text_weights: Tensor | None = None) -> Tensor:
        """Return the divergence () of two logits (B, C) of the same texts, summed over the texts with a target.

        It is the mean of the two Kullback-Leibler divergences of the probabilities (L_KL of R-Drop, Liang et al. 2021,
        equation 2); for multi-label targets the sum of this over the labels.
        """
        if self.is_multi_label:
            terms = ((first.sigmoid() - second.sigmoid()) * (first - second)).sum(dim=1)
        else:
            p, q = first.log_softmax(dim=1), second.log_softmax(dim=1)
            terms = ((p.exp() - q.exp()) * (p - q)).sum(dim=1)
        known = targets >= 0 if targets.dim() == 1 else targets[:, 0] >= 0
        terms = torch.where(known, terms, 0.0)
        return (terms if text_weights is None else terms * text_weights).sum() / 2

    def _compare_classes(self, logits: Tensor, classes: Tensor, *, reduction: str = "none") -> Tensor:
        losses = functional.cross_entropy(
            logits, classes, ignore_index=NO_CLASS, label_smoothing=self.smoothing, reduction=reduction
        )
        if self.is_plain:
            return losses
        known = classes.clamp(min=0)
        if self._gamma:
            probability = logits.softmax(dim=1).gather(1, known[:, None])[:, 0]
            losses = losses * (1 - probability).clamp(min=_MIN_ERROR) ** self._gamma
        return losses if self.weights is None else losses * self.weights[known]

    def _compare_distributions(self, logits: Tensor, targets: Tensor) -> Tensor:
        known, shares = targets[:, 0] >= 0, targets.clamp(min=0)
        smoothed = shares * (1 - self.smoothing) + self.smoothing / targets.shape[1]
        losses = -(smoothed * logits.log_softmax(dim=1)).sum(dim=1) * known
        if self._gamma:
            probability = (logits.softmax(dim=1) * shares).sum(dim=1)
            losses = losses * (1 - probability).clamp(min=_MIN_ERROR) ** self._gamma
        return losses if self.weights is None else losses * (shares @ self.weights)

    def _compare_labels(self, logits: Tensor, targets: Tensor) -> Tensor:
        known, shares = (targets >= 0).to(logits.dtype), targets.clamp(min=0)
        smoothed = shares * (1 - self.smoothing) + self.smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(logits, smoothed, weight=known, reduction="none")
        if self._gamma:
            error = shares * (-logits).sigmoid() + (1 - shares) * logits.sigmoid()
            losses = losses * error.clamp(min=_MIN_ERROR) ** self._gamma
        if self.weights is not None and self.others is not None:
            losses = losses * (shares * self.weights + (1 - shares) * self.others)
        return losses


def weigh_classes(
    config: TrainConfig, labels: Sequence[str], *, counts: Sequence[float], texts: int | None
) -> tuple[Tensor | None, Tensor | None]:
    """Return the weights (C,) float32 of texts with a label and, for multi-label data, (C,) of texts without it."""
    configured = config.class_weights
    if configured is None:
        return None, None
    if configured == "balanced":
        n = torch.tensor(counts, dtype=torch.float32)
        if texts is None:
            balanced = sum(counts) / (len(counts) * n.clamp(min=1))
            return torch.where(n > 0, balanced, 1.0), None  # an old class may have no text
        return torch.where(n > 0, texts / (2 * n.clamp(min=1)), 1.0), texts / (2 * (texts - n).clamp(min=1))
    if unknown := sorted(configured.keys() - set(labels)):
        raise ConfigError(f"train.class_weights: no training text has the label '{unknown[0]}'")
    weights = torch.tensor([configured.get(label, 1.0) for label in labels])
    return weights, None if texts is None else torch.ones(len(labels))


NO_CLASS = -1
"""The class of a text whose label is unknown; it has no loss."""


def make_targets(
    classes: Classes, sets: MultiLabelSet | None, C: int, *, soft: SoftLabels | None = None
) -> npt.NDArray[Any]:
    """Return the training targets of texts with ``classes`` (B,): class indices, or a matrix.

    Without ``sets`` and ``soft`` they are the classes (B,) int64. With the label sets of a multi-label data set, they
    are (B, C) float32: 1 if the text has the label, else 0. ``soft`` are label distributions: without ``sets`` they
    make the targets a matrix too, of the probabilities of the classes. A text without a known label has
    :data:`NO_CLASS` everywhere.
    """
    if sets is None and soft is None:
        return classes
    targets = np.full((len(classes), C), NO_CLASS, np.float32)
    known = np.flatnonzero(classes >= 0)
    if sets is not None:
        targets[known] = sets.to_multi_hot(classes[known])[:, :C]
    else:
        targets[known] = 0
        targets[known, classes[known]] = 1
    if soft is not None:
        soft.fill(targets)
        targets[classes < 0] = NO_CLASS  # the most probable label is unknown
    return targets


def sum_losses(logits: Tensor, targets: Tensor, *, multi_label: bool) -> Tensor:
    """Return the sum () of the cross entropies of all texts, in nats.

    By softmax for classes and their distributions. For multi-label targets by a sigmoid for each label: binary cross
    entropies, summed over the labels.
    """
    if targets.dim() == 1:
        return functional.cross_entropy(logits, targets, reduction="sum", ignore_index=NO_CLASS)
    if not multi_label:
        return -(targets.clamp(min=0) * logits.log_softmax(dim=1)).sum()
    known = (targets >= 0).to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, targets.clamp(min=0), weight=known, reduction="sum")


class LossScale:
    """A loss scale: halved when gradients overflow, doubled after 2,000 steps in a row that are finite.

    ``factor`` is a number; on CUDA a tensor () float32 that never leaves the device during training. It stays 1 unless
    ``active``. ``steady`` counts the finite steps in a row.
    """

    def __init__(self, device: torch.device, *, active: bool) -> None:
        self.active = active
        self.factor: float | Tensor = _FIRST_SCALE if active else 1.0
        self.steady: int | Tensor = 0
        if active and device.type == "cuda":
            self.factor = torch.full((), _FIRST_SCALE, device=device)
            self.steady = torch.zeros((), dtype=torch.int32, device=device)

    def adapt(self, updated: bool | Tensor) -> None:
        """Adapt the factor after a step that ``updated`` the network, as ``AdamW.step`` returns it."""
        if not self.active:
            return
        if isinstance(updated, Tensor) and isinstance(self.factor, Tensor) and isinstance(self.steady, Tensor):
            overflow = updated.ne(0).float()
            torch._amp_update_scale_(self.factor, self.steady, overflow, 2.0, 0.5, _STEPS_TO_RAISE)
            return
        self.steady = self.steady + 1 if updated else 0
        if not updated:
            self.factor /= 2
        elif self.steady % _STEPS_TO_RAISE == 0:
            self.factor *= 2

    def export_state(self) -> list[float]:
        """Return the factor and the count."""
        return [float(self.factor), int(self.steady)]

    def import_state(self, state: list[float]) -> None:
        """Set the state that :meth:`export_state` returned."""
        factor, steady = state
        if isinstance(self.factor, Tensor) and isinstance(self.steady, Tensor):
            self.factor.fill_(factor)
            self.steady.fill_(int(steady))
        else:
            self.factor, self.steady = factor, int(steady)
