"""TensorBoard events of a run: losses, learning rates and metrics, in the run folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.extras import import_extra
from textrnn.reporter import EpochRecord, Plan, Reporter
from textrnn.serialization.run_folder import EVENTS_NAME

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_MAX_POINTS = 5000  # per curve
_PER_EPOCH = {
    "loss": "train/loss_of_epoch",
    "valid_loss": "valid/loss",
    "network_loss": "valid/loss_of_network",
    "accuracy": "valid/accuracy",
    "micro_f1": "valid/micro_f1",
    "macro_f1": "valid/macro_f1",
    "weighted_f1": "valid/weighted_f1",
    "mae": "valid/mae",
    "rmse": "valid/rmse",
    "tokens_per_second": "speed/tokens_per_second",
}


class TensorBoardReporter(Reporter):
    """Writes TensorBoard event files into the run folder.

    They hold the loss and learning rate of every n-th step, at most 5,000 of a run, and the metrics of each epoch, at
    the number of its last step. Events wait in memory until the folder belongs to the run. A resumed run adds a file,
    which makes TensorBoard drop the earlier events of repeated steps.

    Raises:
        ConfigError: the package tensorboard is not installed.
    """

    def __init__(self) -> None:
        self._module = import_extra("torch.utils.tensorboard", extra="tensorboard", feature="train.tensorboard")
        self._writer: SummaryWriter | None = None
        self._waiting: list[tuple[str, float, int]] = []
        self._every, self._done = 1, 0

    def begin(self, plan: Plan) -> None:
        """Choose the steps that are written."""
        self._every, self._done = -(-plan.steps // _MAX_POINTS), plan.done

    def measure(self, step: int, loss: float, lr: float) -> None:
        """Write the loss and learning rate of every n-th step."""
        if step % self._every == 0 or step == 1:
            self._add("train/loss", loss, step)
            self._add("train/lr", lr, step)

    def end_epoch(self, record: EpochRecord) -> None:
        """Write the metrics of an epoch."""
        for name, tag in _PER_EPOCH.items():
            value = getattr(record, name)
            if value is not None and not math.isnan(value):
                self._add(tag, value, record.step)
        self._flush()

    def saved(self, folder: Path) -> None:
        """Write the events that waited; the first call creates the file."""
        if self._writer is None:
            purge = self._done + 1 if self._done else None
            self._writer = self._module.SummaryWriter(str(folder / EVENTS_NAME), purge_step=purge)
            waiting, self._waiting = self._waiting, []
            for tag, value, step in waiting:
                self._add(tag, value, step)
        self._flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def _add(self, tag: str, value: float, step: int) -> None:
        if self._writer is None:
            self._waiting.append((tag, value, step))
        else:
            self._writer.add_scalar(tag, value, step)

    def _flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()
