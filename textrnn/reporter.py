"""What training tells while it runs; the command line shows it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """What is about to be trained: the most epochs, the batches in each, the metric that decides, steps done, and at
    ``most``."""

    epochs: int
    batches: int
    metric: str
    done: int = 0
    most: int | None = None

    @property
    def steps(self) -> int:
        """How many steps there are at most."""
        return self.epochs * self.batches if self.most is None else min(self.most, self.epochs * self.batches)


@dataclass(frozen=True)
class EpochRecord:
    """One line of metrics.jsonl: losses in nats a text, metrics in [0, 1], speed in pieces a second of training.

    ``loss`` is what is minimised, on the training text; those on valid are calibrated: ``valid_loss`` of what is saved,
    and ``network_loss`` of the network without its n-grams.
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


class Reporter:
    """Receives what happens; this one is silent, and is the base of those that show it.

    What :meth:`end_epoch` raises ends the run where it is: so is one given up that promises nothing.
    """

    def note(self, message: str) -> None:
        """Receive one line that the user should know."""

    def load(self, what: str, done: int, total: int | None) -> None:
        """Receive how many bytes of the text are read so far, and of how many (None: not known); ``what`` names it.

        The end is told by ``done`` being ``total``.
        """

    def begin(self, plan: Plan) -> None:
        """Receive the plan, before the first step."""

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        """Receive a step's number of epoch (from 1), mean loss of the epoch so far, and speed."""

    def measure(self, step: int, loss: float, lr: float) -> None:
        """Receive of step number ``step`` (from 1) the mean loss of its texts in nats, and the learning rate."""

    def saved(self, folder: Path) -> None:
        """Receive that a model or checkpoint was written to ``folder``, which is the run's own from then on."""

    def end_epoch(self, record: EpochRecord) -> None:
        """Receive the record of an epoch, after its valid pass."""

    def close(self) -> None:
        """Stop showing; called once, also after an error."""


class Reporters(Reporter):
    """Passes what happens to several, in their order."""

    def __init__(self, reporters: Iterable[Reporter]) -> None:
        self._all = list(reporters)

    def note(self, message: str) -> None:
        """Pass on the line."""
        for reporter in self._all:
            reporter.note(message)

    def load(self, what: str, done: int, total: int | None) -> None:
        """Pass on how much is read."""
        for reporter in self._all:
            reporter.load(what, done, total)

    def begin(self, plan: Plan) -> None:
        """Pass on the plan."""
        for reporter in self._all:
            reporter.begin(plan)

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        """Pass on the state of the epoch."""
        for reporter in self._all:
            reporter.step(epoch, loss, tokens_per_second)

    def measure(self, step: int, loss: float, lr: float) -> None:
        """Pass on the step."""
        for reporter in self._all:
            reporter.measure(step, loss, lr)

    def saved(self, folder: Path) -> None:
        """Pass on the folder."""
        for reporter in self._all:
            reporter.saved(folder)

    def end_epoch(self, record: EpochRecord) -> None:
        """Pass on the record."""
        for reporter in self._all:
            reporter.end_epoch(record)

    def close(self) -> None:
        """Close all, also where one fails."""
        with ExitStack() as stack:
            for reporter in reversed(self._all):
                stack.callback(reporter.close)
