"""How far a run has come."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from textrnn.reporter import EpochRecord


@dataclass
class TrainerState:
    """How far a run has come: everything of its state that is no tensor.

    ``epoch`` (from 1) is being trained, ``batches`` of it are done, over ``texts`` texts and ``tokens`` pieces with a
    sum of losses ``loss``, in ``seconds``; ``elapsed`` are those of all epochs before.
    """

    epoch: int = 1
    batches: int = 0
    texts: int = 0
    tokens: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    elapsed: float = 0.0
    records: list[EpochRecord] = field(default_factory=list)

    def export(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def restore(cls, state: dict[str, Any]) -> TrainerState:
        """Return what :meth:`export` gave."""
        return cls(**{**state, "records": [EpochRecord(**record) for record in state["records"]]})

    @property
    def best(self) -> EpochRecord | None:
        """The record of the best epoch so far."""
        return next((record for record in reversed(self.records) if record.best), None)

    @property
    def idle_epochs(self) -> int:
        """How many epochs ago the metric or a loss on valid was last better than ever before.

        Losses count too, whatever the metric: they fall long before a text changes its label. So does that of the
        network alone, which has to become good before it has a share in what is saved.
        """
        lowest = min(self.records, key=lambda record: record.valid_loss).epoch
        alone = min(self.records, key=lambda record: record.network_loss).epoch
        return self.records[-1].epoch - max(lowest, alone, self.best.epoch if self.best else 0)

    def begin_epoch(self, epoch: int) -> None:
        """Forget what was counted in the epoch before."""
        self.elapsed += self.seconds
        self.epoch, self.batches, self.texts, self.tokens, self.loss, self.seconds = epoch, 0, 0, 0, 0.0, 0.0
