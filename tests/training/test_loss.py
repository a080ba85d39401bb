"""The loss of a batch against its formula and scikit-learn's weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from samples import make_config
from textrnn.data.labels import MultiLabelSet
from textrnn.errors import ConfigError
from textrnn.training.loss import TextLoss, make_targets, sum_losses

LABELS, COUNTS = ("a", "b", "c"), [5, 3, 2]
CLASSES = torch.tensor([0, 2, 1, -1, 0])


def compute(**settings: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss and the logarithms of the probabilities that it is of."""
    torch.manual_seed(1)
    logits = torch.randn(5, 3, dtype=torch.float64).float()
    loss = TextLoss(
        make_config(**{f"train__{key}": value for key, value in settings.items()}).train, labels=LABELS, counts=COUNTS
    )
    return loss(logits, CLASSES), logits.double().log_softmax(1)


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
    logits = torch.randn(3, 3)
    targets = torch.tensor([[1.0, 0, 1], [0, 0, 0], [-1, -1, -1]])  # the last does not count
    settings = {"focal_gamma": gamma, "label_smoothing": smoothing, "class_weights": weights}
    config = make_config(**{f"train__{key}": value for key, value in settings.items()}).train
    got = TextLoss(config, labels=LABELS, counts=COUNTS, texts=20)(logits, targets)
    wanted = 0.0
    for row, score in zip(targets[:2].tolist(), logits[:2].double().sigmoid().tolist(), strict=True):
        for label, (target, p) in enumerate(zip(row, score, strict=True)):
            smooth = target * (1 - smoothing) + smoothing / 2
            right = p if target else 1 - p
            weight = {"None": 1.0, "balanced": 10 / COUNTS[label] if target else 10 / (20 - COUNTS[label])}.get(
                str(weights), 3.0 if label == 1 and target else 1.0
            )
            wanted -= weight * (1 - right) ** gamma * (smooth * math.log(p) + (1 - smooth) * math.log(1 - p))
    assert float(got) == pytest.approx(wanted, rel=1e-5)


def diverge(p: list[float], q: list[float]) -> float:
    """Return the Kullback-Leibler divergence of q from p."""
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def softmax(logits: list[float]) -> list[float]:
    total = math.fsum(map(math.exp, logits))
    return [math.exp(score) / total for score in logits]


def draw_pair(C: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(C)
    return torch.randn(5, C) * 2, torch.randn(5, C) * 2


@pytest.mark.parametrize("C", [2, 3, 7])
def test_two_draws_are_apart_by_the_mean_of_both_divergences(C: int) -> None:
    first, second = draw_pair(C)
    loss = TextLoss(make_config().train, labels="abcdefg"[:C], counts=[1] * C)
    found = loss.divergence(first, second, CLASSES.clamp(max=C - 1))  # the fourth text does not count
    wanted = 0.0
    for row, (one, other) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        if row != 3:
            p, q = softmax(one), softmax(other)
            wanted += (diverge(p, q) + diverge(q, p)) / 2
    assert wanted > 0.1
    assert float(found) == pytest.approx(wanted, rel=1e-5)
    assert float(loss.divergence(second, first, CLASSES.clamp(max=C - 1))) == float(found)


def test_two_draws_of_several_labels_are_apart_by_each_label() -> None:
    first, second = draw_pair(3)
    targets = torch.tensor([[1.0, 0, 1], [0, 0, 0], [-1, -1, -1], [1, 1, 1], [0, 1, 0]])  # the third does not count
    loss = TextLoss(make_config().train, labels=LABELS, counts=COUNTS, texts=20)
    wanted = 0.0
    for row, (one, other) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        if row != 2:
            for a, b in zip(one, other, strict=True):
                p, q = softmax([a, 0.0]), softmax([b, 0.0])
                wanted += (diverge(p, q) + diverge(q, p)) / 2
    assert wanted > 1
    assert float(loss.divergence(first, second, targets)) == pytest.approx(wanted, rel=1e-5)
    assert float(loss.divergence(second, first, targets)) == float(loss.divergence(first, second, targets))


@pytest.mark.parametrize("several", [False, True])
def test_how_far_two_draws_are_apart_is_finite_and_not_below_zero(several: bool) -> None:
    targets = torch.zeros(3, 3) if several else torch.tensor([0, 1, 2])
    loss = TextLoss(make_config().train, labels=LABELS, counts=COUNTS, texts=3 if several else None)
    first = torch.tensor([[3e4, 0, -3e4], [1e-30, 0, 0], [5.0, -5, 1]], requires_grad=True)
    second = torch.tensor([[-3e4, 0, 3e4], [-1e-30, 0, 0], [5.0, -5, 1]])
    apart = loss.divergence(first, second, targets)
    apart.backward()
    assert apart.item() == pytest.approx(6e4, rel=1e-5)
    assert first.grad is not None
    assert torch.isfinite(first.grad).all()
    assert not first.grad[2].any()  # both are the same there
    assert float(loss.divergence(second, second, targets)) == 0


@pytest.mark.parametrize("several", [False, True])
def test_only_texts_that_count_have_two_draws(several: bool) -> None:
    targets = torch.full((5, 3), -1.0) if several else torch.full((5,), -1)
    loss = TextLoss(make_config().train, labels=LABELS, counts=COUNTS, texts=20 if several else None)
    assert float(loss.divergence(*draw_pair(3), targets)) == 0


SETS = MultiLabelSet.of([(), (0, 2), (1, 3)], 4)  # the model does not know the last label


def test_single_label_targets_are_the_classes() -> None:
    classes = np.array([1, -1, 0])
    assert make_targets(classes, None, 3) is classes


def test_multi_label_targets_are_a_multi_hot_matrix() -> None:
    found = make_targets(np.array([1, -1, 0, 2]), SETS, 3)
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 0, 1], [-1, -1, -1], [0, 0, 0], [0, 1, 0]]


def test_the_multi_label_loss_is_the_likelihood_of_the_whole_set() -> None:
    torch.manual_seed(1)
    logits = torch.randn(3, 3, dtype=torch.float64) * 3
    p = logits.sigmoid()
    wanted = -(p[0, 0] * (1 - p[0, 1]) * p[0, 2] * (1 - p[1]).prod()).log()
    targets = torch.from_numpy(make_targets(np.array([1, 0, -1]), SETS, 3))
    assert float(sum_losses(logits, targets)) == pytest.approx(float(wanted))


def test_unknown_labels_give_no_loss_and_no_gradient() -> None:
    for targets in (np.array([-1]), make_targets(np.array([-1]), SETS, 3)):
        logits = torch.randn(1, 3, requires_grad=True)
        loss = sum_losses(logits, torch.from_numpy(targets))
        loss.backward()
        assert loss == 0
        assert logits.grad is not None
        assert not logits.grad.any()


def test_the_single_label_loss_is_cross_entropy() -> None:
    logits, classes = torch.randn(4, 3), torch.tensor([0, 2, -1, 1])
    wanted = functional.cross_entropy(logits[[0, 1, 3]], classes[[0, 1, 3]], reduction="sum")
    torch.testing.assert_close(sum_losses(logits, classes), wanted)
