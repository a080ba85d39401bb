"""What training tells while it runs; the command line shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What is about to be trained: the most epochs, the batches in each, the metric that decides, and steps done."""

    epochs: int
    batches: int
    metric: str
    done: int = 0


@dataclass(frozen=True)
class EpochRecord:
    """One line of metrics.jsonl: losses in nats a text, metrics in [0, 1], speed in pieces a second of training."""

    epoch: int
    step: int
    loss: float
    valid_loss: float
    accuracy: float
    micro_f1: float
    macro_f1: float
    weighted_f1: float
    lr: float
    seconds: float
    tokens_per_second: float
    best: bool


class Reporter:
    """Receives what happens; this one is silent, and is the base of those that show it."""

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

    def end_epoch(self, record: EpochRecord) -> None:
        """Receive the record of an epoch, after its valid pass."""

    def close(self) -> None:
        """Stop showing; called once, also after an error."""
