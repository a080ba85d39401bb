"""Events for TensorBoard: losses, learning rates and metrics of a run, written into its folder."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.errors import ConfigError
from textrnn.reporter import EpochRecord, Plan, Reporter
from textrnn.serialization.run_folder import EVENTS_NAME

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_MOST_POINTS = 5000  # of a curve over all steps
_PER_EPOCH = {
    "loss": "train/loss_of_epoch",
    "valid_loss": "valid/loss",
    "network_loss": "valid/loss_of_network",
    "accuracy": "valid/accuracy",
    "micro_f1": "valid/micro_f1",
    "macro_f1": "valid/macro_f1",
    "weighted_f1": "valid/weighted_f1",
    "tokens_per_second": "speed/tokens_per_second",
}


class TensorBoardReporter(Reporter):
    """Writes TensorBoard's event files into the folder of the run.

    The loss and the learning rate of every n-th step, 5,000 of a run at most; the metrics of each epoch, at the number
    of its last step. All is kept in memory until the run's folder is its own. A run that is gone on with adds a file,
    which has TensorBoard drop what the earlier ones say of steps that are made again.

    Raises:
        ConfigError: the package tensorboard is not installed.
    """

    def __init__(self) -> None:
        if find_spec("tensorboard") is None:
            raise ConfigError("train.tensorboard: the package tensorboard is not installed; pip install tensorboard")
        self._writer: SummaryWriter | None = None
        self._waiting: list[tuple[str, float, int]] = []
        self._every, self._done = 1, 0

    def begin(self, plan: Plan) -> None:
        """Find out which steps are written."""
        self._every, self._done = -(-plan.steps // _MOST_POINTS), plan.done

    def measure(self, step: int, loss: float, lr: float) -> None:
        """Write the step's loss and rate, if it is its turn."""
        if step % self._every == 0 or step == 1:
            self._add("train/loss", loss, step)
            self._add("train/lr", lr, step)

    def end_epoch(self, record: EpochRecord) -> None:
        """Write the epoch's metrics."""
        for name, tag in _PER_EPOCH.items():
            self._add(tag, getattr(record, name), record.step)
        self._flush()

    def saved(self, folder: Path) -> None:
        """Write what has waited; the first time makes the file."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra

            purge = self._done + 1 if self._done else None
            self._writer = SummaryWriter(str(folder / EVENTS_NAME), purge_step=purge)
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
