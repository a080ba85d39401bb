"""The loss of a batch against its formula and scikit-learn's weights, and its targets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from samples import make_config
from textrnn.data.batch import SoftLabels
from textrnn.data.labels import MultiLabelSet
from textrnn.errors import ConfigError
from textrnn.training.loss import LossScale, TextLoss, make_targets, sum_losses

LABELS, COUNTS = ("a", "b", "c"), [5, 3, 2]
CLASSES = torch.tensor([0, 2, 1, -1, 0])
SETS = MultiLabelSet.of([(), (0, 2), (1, 3)], 4)  # the model does not know the last label


def compute(**settings: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss and the log probabilities."""
    torch.manual_seed(1)
    logits = torch.randn(5, 3, dtype=torch.float64).float()
    loss = TextLoss(
        make_config(**{f"train__{key}": value for key, value in settings.items()}).train, labels=LABELS, counts=COUNTS
    )
    return loss(logits, CLASSES), logits.double().log_softmax(1)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, "balanced", {"b": 3.0}], ids=str)
def test_the_loss_follows_its_formula(gamma: float, smoothing: float, weights: object) -> None:
    got, log_p = compute(focal_gamma=gamma, label_smoothing=smoothing, class_weights=weights)
    of_class = {"None": [1.0, 1.0, 1.0], "balanced": [10 / 15, 10 / 9, 10 / 6]}.get(str(weights), [1.0, 3.0, 1.0])
    expected = 0.0
    for row, label in zip(log_p, CLASSES.tolist(), strict=True):
        if label >= 0:
            target = torch.full((3,), smoothing / 3, dtype=torch.float64)
            target[label] += 1 - smoothing
            expected += of_class[label] * float((1 - row[label].exp()) ** gamma * -(target * row).sum())
    assert float(got) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("weights", [None, "balanced"], ids=str)
def test_a_certain_distribution_is_a_label(gamma: float, weights: object) -> None:
    config = make_config(train__focal_gamma=gamma, train__label_smoothing=0.1, train__class_weights=weights).train
    loss, logits = TextLoss(config, labels=LABELS, counts=COUNTS), torch.randn(5, 3)
    soft = SoftLabels(np.array([0, 2]), np.array([0, 1]), np.ones(2, np.float32))
    targets = torch.from_numpy(make_targets(CLASSES.numpy(), None, 3, soft=soft))
    torch.testing.assert_close(loss(logits, targets), loss(logits, CLASSES))
    torch.testing.assert_close(loss.divergence(logits, -logits, targets), loss.divergence(logits, -logits, CLASSES))


def test_a_distribution_is_compared_by_cross_entropy() -> None:
    logits = torch.randn(2, 3)
    soft = SoftLabels(np.array([0, 0]), np.array([0, 2]), np.array([0.7, 0.3], np.float32))
    targets = torch.from_numpy(make_targets(np.array([0, 1]), None, 3, soft=soft))
    expected = functional.cross_entropy(logits, targets, reduction="sum")
    torch.testing.assert_close(
        TextLoss(make_config(train__label_smoothing=0).train, labels=LABELS, counts=COUNTS)(logits, targets), expected
    )
    torch.testing.assert_close(sum_losses(logits, targets, multi_label=False), expected)


@pytest.mark.parametrize("texts", [None, 10], ids=["classes", "labels"])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_a_weight_is_a_number_of_copies(texts: int | None, gamma: float) -> None:
    loss = TextLoss(make_config(train__focal_gamma=gamma).train, labels=LABELS, counts=COUNTS, texts=texts)
    logits, targets = torch.randn(3, 3), torch.tensor([0, 2, 1])
    if texts:
        targets = functional.one_hot(targets, 3).float()
    copies = torch.tensor([2, 0, 1])
    twice = [part.repeat_interleave(copies, dim=0) for part in (logits, targets, -logits)]
    torch.testing.assert_close(loss(logits, targets, copies.float()), loss(*twice[:2]))
    torch.testing.assert_close(
        loss.divergence(logits, -logits, targets, copies.float()), loss.divergence(twice[0], twice[2], twice[1])
    )


def test_balanced_weights_equal_those_of_scikit_learn() -> None:
    loss = TextLoss(make_config(train__class_weights="balanced").train, labels=LABELS, counts=COUNTS)
    texts = np.repeat(np.arange(3), COUNTS)
    assert loss.weights is not None
    assert loss.weights.numpy() == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=texts))


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train.class_weights: .*'z'"):
        compute(class_weights={"z": 2.0})


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, "balanced", {"b": 3.0}], ids=str)
def test_the_multi_label_loss_follows_its_formula(gamma: float, smoothing: float, weights: object) -> None:
    torch.manual_seed(2)
    logits = torch.randn(3, 3)
    targets = torch.tensor([[1.0, 0, 1], [0, 0, 0], [-1, -1, -1]])  # the last has no label
    settings = {"focal_gamma": gamma, "label_smoothing": smoothing, "class_weights": weights}
    config = make_config(**{f"train__{key}": value for key, value in settings.items()}).train
    got = TextLoss(config, labels=LABELS, counts=COUNTS, texts=20)(logits, targets)
    expected = 0.0
    for row, score in zip(targets[:2].tolist(), logits[:2].double().sigmoid().tolist(), strict=True):
        for label, (target, p) in enumerate(zip(row, score, strict=True)):
            smooth = target * (1 - smoothing) + smoothing / 2
            right = p if target else 1 - p
            weight = {"None": 1.0, "balanced": 10 / COUNTS[label] if target else 10 / (20 - COUNTS[label])}.get(
                str(weights), 3.0 if label == 1 and target else 1.0
            )
            expected -= weight * (1 - right) ** gamma * (smooth * math.log(p) + (1 - smooth) * math.log(1 - p))
    assert float(got) == pytest.approx(expected, rel=1e-5)


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
def test_the_divergence_is_the_mean_of_both_directions(C: int) -> None:
    first, second = draw_pair(C)
    loss = TextLoss(make_config().train, labels="abcdefg"[:C], counts=[1] * C)
    divergence = loss.divergence(first, second, CLASSES.clamp(max=C - 1))  # the fourth text has no label
    expected = 0.0
    for row, (one, other) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        if row != 3:
            p, q = softmax(one), softmax(other)
            expected += (diverge(p, q) + diverge(q, p)) / 2
    assert expected > 0.1
    assert float(divergence) == pytest.approx(expected, rel=1e-5)
    assert float(loss.divergence(second, first, CLASSES.clamp(max=C - 1))) == float(divergence)


def test_the_multi_label_divergence_is_a_sum_over_labels() -> None:
    first, second = draw_pair(3)
    targets = torch.tensor([[1.0, 0, 1], [0, 0, 0], [-1, -1, -1], [1, 1, 1], [0, 1, 0]])  # the third has no label
    loss = TextLoss(make_config().train, labels=LABELS, counts=COUNTS, texts=20)
    expected = 0.0
    for row, (one, other) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        if row != 2:
            for a, b in zip(one, other, strict=True):
                p, q = softmax([a, 0.0]), softmax([b, 0.0])
                expected += (diverge(p, q) + diverge(q, p)) / 2
    assert expected > 1
    assert float(loss.divergence(first, second, targets)) == pytest.approx(expected, rel=1e-5)
    assert float(loss.divergence(second, first, targets)) == float(loss.divergence(first, second, targets))


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_divergence_is_finite_and_not_negative(multi_label: bool) -> None:
    targets = torch.zeros(3, 3) if multi_label else torch.tensor([0, 1, 2])
    loss = TextLoss(make_config().train, labels=LABELS, counts=COUNTS, texts=3 if multi_label else None)
    first = torch.tensor([[3e4, 0, -3e4], [1e-30, 0, 0], [5.0, -5, 1]], requires_grad=True)
    second = torch.tensor([[-3e4, 0, 3e4], [-1e-30, 0, 0], [5.0, -5, 1]])
    divergence = loss.divergence(first, second, targets)
    divergence.backward()
    assert divergence.item() == pytest.approx(6e4, rel=1e-5)
    assert first.grad is not None
    assert torch.isfinite(first.grad).all()
    assert not first.grad[2].any()  # both are the same there
    assert float(loss.divergence(second, second, targets)) == 0


def test_targets_of_classes_are_the_classes() -> None:
    classes = np.array([1, -1, 0])
    assert make_targets(classes, None, 3) is classes


def test_multi_label_targets_are_a_multi_hot_matrix() -> None:
    targets = make_targets(np.array([1, -1, 0, 2]), SETS, 3)
    assert targets.dtype == np.float32
    assert targets.tolist() == [[1, 0, 1], [-1, -1, -1], [0, 0, 0], [0, 1, 0]]


def test_the_cross_entropy_of_a_label_set_is_minus_its_log_probability() -> None:
    torch.manual_seed(1)
    logits = torch.randn(3, 3, dtype=torch.float64) * 3
    p = logits.sigmoid()
    expected = -(p[0, 0] * (1 - p[0, 1]) * p[0, 2] * (1 - p[1]).prod()).log()
    targets = torch.from_numpy(make_targets(np.array([1, 0, -1]), SETS, 3))
    assert float(sum_losses(logits, targets, multi_label=True)) == pytest.approx(float(expected))


def test_texts_without_labels_have_no_loss_and_no_gradient() -> None:
    for targets in (np.array([-1]), make_targets(np.array([-1]), SETS, 3)):
        logits = torch.randn(1, 3, requires_grad=True)
        loss = sum_losses(logits, torch.from_numpy(targets), multi_label=targets.ndim == 2)
        loss.backward()
        assert loss == 0
        assert logits.grad is not None
        assert not logits.grad.any()


def test_the_cross_entropy_of_classes_is_that_of_torch() -> None:
    logits, classes = torch.randn(4, 3), torch.tensor([0, 2, -1, 1])
    expected = functional.cross_entropy(logits[[0, 1, 3]], classes[[0, 1, 3]], reduction="sum")
    torch.testing.assert_close(sum_losses(logits, classes, multi_label=False), expected)


def make_scale(kind: str) -> LossScale:
    scale = LossScale(torch.device("cpu"), active=True)
    if kind == "device":
        scale.factor, scale.steady = torch.tensor(2.0**16), torch.tensor(0, dtype=torch.int32)
    return scale


def adapt(scale: LossScale, updated: bool) -> list[float]:
    result = updated if isinstance(scale.factor, float) else torch.tensor(0.0 if updated else math.nan)
    scale.adapt(result)
    return scale.export_state()


@pytest.mark.parametrize("kind", ["host", "device"])
def test_it_falls_on_overflow_and_rises_after_steady_steps(kind: str) -> None:
    scale = make_scale(kind)
    assert adapt(scale, True) == [2.0**16, 1]
    assert adapt(scale, False) == [2.0**15, 0]
    assert adapt(scale, False) == [2.0**14, 0]
    scale.import_state([4.0, 1998])
    assert adapt(scale, True) == [4.0, 1999]
    assert adapt(scale, True)[0] == 8.0
    restored = make_scale(kind)
    restored.import_state(scale.export_state())
    assert restored.export_state() == scale.export_state()


def test_it_stays_one_in_other_precisions() -> None:
    scale = LossScale(torch.device("cpu"), active=False)
    assert [adapt(scale, updated) for updated in (True, False)] == [[1.0, 0]] * 2
