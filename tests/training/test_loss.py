"""The loss of a batch against its formula and scikit-learn's weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from samples import make_config
from textrnn.errors import ConfigError
from textrnn.training.loss import TextLoss

LABELS, COUNTS = ("a", "b", "c"), [5, 3, 2]
CLASSES = torch.tensor([0, 2, 1, -1, 0])


def compute(**settings: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss and the logarithms of the probabilities that it is of."""
    torch.manual_seed(1)
    scores = torch.randn(5, 3, dtype=torch.float64).float()
    loss = TextLoss(
        make_config(**{f"train__{key}": value for key, value in settings.items()}).train, labels=LABELS, counts=COUNTS
    )
    return loss(scores, CLASSES), scores.double().log_softmax(1)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, "balanced", {"b": 3.0}], ids=str)
def test_follows_the_formula(gamma: float, smoothing: float, weights: object) -> None:
    got, log_p = compute(focal_gamma=gamma, label_smoothing=smoothing, class_weights=weights)
    of_class = {"None": [1.0, 1.0, 1.0], "balanced": [10 / 15, 10 / 9, 10 / 6]}.get(str(weights), [1.0, 3.0, 1.0])
    wanted = 0.0
    for row, label in zip(log_p, CLASSES.tolist(), strict=True):
        if label >= 0:
            target = torch.full((3,), smoothing / 3, dtype=torch.float64)
            target[label] += 1 - smoothing
            wanted += of_class[label] * float((1 - row[label].exp()) ** gamma * -(target * row).sum())
    assert float(got) == pytest.approx(wanted, rel=1e-5)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    loss = TextLoss(make_config(train__class_weights="balanced").train, labels=LABELS, counts=COUNTS)
    texts = np.repeat(np.arange(3), COUNTS)
    assert loss.weights is not None
    assert loss.weights.numpy() == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=texts))


def test_a_label_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match=r"train.class_weights: no text of the training text has the label 'z'"):
        compute(class_weights={"z": 2.0})


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, "balanced", {"b": 3.0}], ids=str)
def test_follows_the_formula_of_several_labels(gamma: float, smoothing: float, weights: object) -> None:
    torch.manual_seed(2)
    scores = torch.randn(3, 3)
    targets = torch.tensor([[1.0, 0, 1], [0, 0, 0], [-1, -1, -1]])  # the last does not count
    settings = {"focal_gamma": gamma, "label_smoothing": smoothing, "class_weights": weights}
    config = make_config(**{f"train__{key}": value for key, value in settings.items()}).train
    got = TextLoss(config, labels=LABELS, counts=COUNTS, texts=20)(scores, targets)
    wanted = 0.0
    for row, score in zip(targets[:2].tolist(), scores[:2].double().sigmoid().tolist(), strict=True):
        for label, (target, p) in enumerate(zip(row, score, strict=True)):
            smooth = target * (1 - smoothing) + smoothing / 2
            right = p if target else 1 - p
            weight = {"None": 1.0, "balanced": 10 / COUNTS[label] if target else 10 / (20 - COUNTS[label])}.get(
                str(weights), 3.0 if label == 1 and target else 1.0
            )
            wanted -= weight * (1 - right) ** gamma * (smooth * math.log(p) + (1 - smooth) * math.log(1 - p))
    assert float(got) == pytest.approx(wanted, rel=1e-5)
