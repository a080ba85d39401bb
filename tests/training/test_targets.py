"""What scores are held against, and the losses by torch's own definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from textrnn.data.labels import MultiLabelSet
from textrnn.training.loss import make_targets, sum_losses

SETS = MultiLabelSet.of([(), (0, 2), (1, 3)], 4)  # the last label is not the model's


def test_classes_stand_for_themselves() -> None:
    classes = np.array([1, -1, 0])
    assert make_targets(classes, None, 3) is classes


def test_sets_become_ones_and_noughts() -> None:
    found = make_targets(np.array([1, -1, 0, 2]), SETS, 3)
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 0, 1], [-1, -1, -1], [0, 0, 0], [0, 1, 0]]


def test_the_loss_is_the_likelihood_of_the_whole_set() -> None:
    torch.manual_seed(1)
    logits = torch.randn(3, 3, dtype=torch.float64) * 3
    p = logits.sigmoid()
    wanted = -(p[0, 0] * (1 - p[0, 1]) * p[0, 2] * (1 - p[1]).prod()).log()
    targets = torch.from_numpy(make_targets(np.array([1, 0, -1]), SETS, 3))
    assert float(sum_losses(logits, targets)) == pytest.approx(float(wanted))


def test_what_does_not_count_moves_nothing() -> None:
    for targets in (np.array([-1]), make_targets(np.array([-1]), SETS, 3)):
        logits = torch.randn(1, 3, requires_grad=True)
        loss = sum_losses(logits, torch.from_numpy(targets))
        loss.backward()
        assert loss == 0
        assert logits.grad is not None
        assert not logits.grad.any()


def test_one_label_is_held_against_softmax() -> None:
    logits, classes = torch.randn(4, 3), torch.tensor([0, 2, -1, 1])
    wanted = functional.cross_entropy(logits[[0, 1, 3]], classes[[0, 1, 3]], reduction="sum")
    torch.testing.assert_close(sum_losses(logits, classes), wanted)
