"""How far a run has come: what counts as an epoch without progress, and that all of it comes back."""

from __future__ import annotations

import json

import pytest

from textrnn.reporter import EpochRecord
from textrnn.training.trainer_state import TrainerState


def make_record(epoch: int, *, valid_loss: float, network_loss: float = 1.0, best: bool = False) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        step=9 * epoch,
        loss=0.5,
        valid_loss=valid_loss,
        network_loss=network_loss,
        accuracy=0.5,
        micro_f1=0.5,
        macro_f1=0.5,
        weighted_f1=0.5,
        lr=0.01,
        seconds=1.0,
        tokens_per_second=10.0,
        best=best,
    )


@pytest.mark.parametrize(
    ("valid", "network", "best", "idle"),
    [
        ([3, 2, 1], [1, 1, 1], [1], 0),  # the loss of what is saved falls
        ([1, 2, 3], [3, 2, 1], [1], 0),  # that of the network falls
        ([1, 2, 3], [1, 2, 3], [1, 3], 0),  # the metric is better
        ([1, 2, 3], [1, 2, 3], [1], 2),
        ([1, 2, 3, 0.5, 1], [1, 2, 3, 4, 5], [1, 2], 1),
        ([1, 2, 3, 3, 3], [1, 0.5, 3, 3, 3], [1], 3),
        ([1, 2, 3, 3, 3], [1, 2, 3, 3, 3], [1, 4], 1),
        ([1, 1, 1], [1, 1, 1], [1], 2),  # as good is not better
    ],
)
def test_an_epoch_is_idle_where_nothing_is_better_than_ever(
    valid: list[float], network: list[float], best: list[int], idle: int
) -> None:
    records = [
        make_record(number, valid_loss=loss, network_loss=alone, best=number in best)
        for number, (loss, alone) in enumerate(zip(valid, network, strict=True), start=1)
    ]
    assert TrainerState(records=records).idle_epochs == idle


def test_it_comes_back_from_json() -> None:
    records = [make_record(1, valid_loss=0.25, best=True), make_record(2, valid_loss=0.1 + 0.2)]
    progress = TrainerState(
        epoch=3, batches=2, texts=16, tokens=99, loss=1 / 3, seconds=0.5, elapsed=7.0, records=records
    )
    assert TrainerState.restore(json.loads(json.dumps(progress.export()))) == progress
