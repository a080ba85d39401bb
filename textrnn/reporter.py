"""Progress reports of a training run, and the interface of their receivers."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Plan:
    """The maximum number of epochs and of steps of a run, and the steps ``done``; ``metric`` selects the best epoch."""

    epochs: int
    steps: int
    metric: str
    done: int = 0


@dataclass(frozen=True)
class EpochRecord:
    """One line of metrics.jsonl: losses in nats per text, metrics in [0, 1], speed in tokens per second.

    ``loss`` is the mean training loss of the epoch. Validation losses are calibrated: ``valid_loss`` is that of the
    saved model, ``network_loss`` that of the network without its n-grams. What was not measured is NaN: all validation
    losses and metrics of a final model, which is trained on all texts. ``mae`` and ``rmse`` are the mean absolute error
    and the root of the mean squared error of scores, None for labels.
    """

    epoch: int
    step: int
    loss: float
    valid_loss: float
    network_loss: float
    accuracy: float
    micro_f1: float
    macro_f1: float
    weighted_f1: float
    lr: float
    seconds: float
    tokens_per_second: float
    best: bool
    mae: float | None = None
    rmse: float | None = None


class Reporter:
    """The receiver of progress reports. This base class ignores them all.

    An exception from :meth:`end_epoch` ends the run, which is how a search prunes a trial.
    """

    def note(self, message: str) -> None:
        """Receive one line for the user."""

    def load(self, what: str, done: int, total: int | None) -> None:
        """Receive the number of bytes read so far of ``total`` (None: unknown); ``what`` names the file.

        The last call has ``done == total``.
        """

    def begin(self, plan: Plan) -> None:
        """Receive the plan, before the first step."""

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        """Receive a step's epoch (from 1), the mean loss of the epoch so far, and the speed."""

    def measure(self, step: int, loss: float, lr: float) -> None:
        """Receive the mean loss of step number ``step`` (from 1) in nats per text, and its learning rate."""

    def saved(self, folder: Path) -> None:
        """Receive the run folder after a model or checkpoint was written to it; it now belongs to this run."""

    def end_epoch(self, record: EpochRecord) -> None:
        """Receive the record of an epoch, after its validation."""

    def close(self) -> None:
        """Stop reporting; called once, also after an error."""


def _forward(name: str) -> Any:
    def forward(self: Reporters, *values: object) -> None:
        for reporter in self.reporters:
            getattr(reporter, name)(*values)

    return forward


class Reporters(Reporter):
    """A reporter that forwards each report to several others, in their order."""

    def __init__(self, *reporters: Reporter) -> None:
        self.reporters = reporters

    note, load, begin, step = map(_forward, ("note", "load", "begin", "step"))
    measure, saved, end_epoch = map(_forward, ("measure", "saved", "end_epoch"))

    def close(self) -> None:
        """Close all reporters, even if one fails."""
        with ExitStack() as stack:
            for reporter in reversed(self.reporters):
                stack.callback(reporter.close)


class ProgressOnly(Reporters):
    """A reporter that forwards the progress of reading and training, but no notes, records or saved models."""

    note, measure, saved, end_epoch = Reporter.note, Reporter.measure, Reporter.saved, Reporter.end_epoch


class NewNotes(Reporters):
    """Passes on each note once: the runs of an experiment have many in common."""

    def __init__(self, *reporters: Reporter) -> None:
        super().__init__(*reporters)
        self._said: set[str] = set()

    def note(self, message: str) -> None:
        """Pass on a new note."""
        if message not in self._said:
            self._said.add(message)
            super().note(message)
