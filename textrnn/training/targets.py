"""What scores are held against: a class for each text, or which labels it has; and the loss by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

from textrnn.corpus.batching import Classes
from textrnn.corpus.labels import LabelSets

NO_CLASS = -1
"""The class of a text that does not count."""


def make_targets(classes: Classes, sets: LabelSets | None, C: int) -> npt.NDArray[Any]:
    """Return what the scores (B, C) of texts with ``classes`` (B,) are held against; -1 does not count.

    Without ``sets`` it is the classes (B,) int64, with them (B, C) float32: 1 where a text has the label, else 0.
    """
    if sets is None:
        return classes
    targets = np.full((len(classes), C), NO_CLASS, np.float32)
    known = classes >= 0
    targets[known] = sets.make_matrix(classes[known])[:, :C]
    return targets


def sum_losses(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the sum of the losses of all texts, in nats: minus the logarithm of the probability of what is right.

    By softmax for classes. For labels by a sigmoid each, as if they did not depend on one another: the binary
    cross-entropy, added up over the labels.
    """
    if targets.dim() == 1:
        return functional.cross_entropy(scores, targets, reduction="sum", ignore_index=NO_CLASS)
    counts = (targets >= 0).to(scores.dtype)
    return functional.binary_cross_entropy_with_logits(scores, targets.clamp(min=0), weight=counts, reduction="sum")
