"""The text, labels, group and weight of one record, and its faults before the reader adds file and line."""

from __future__ import annotations

from typing import NamedTuple

Distribution = dict[str, float]
"""The probabilities of the labels of a text, without those that are 0."""


class Selection(NamedTuple):
    """What is read of a record. ``distribution`` has the probabilities of labels, if the record gives them."""

    text: str
    labels: list[str]
    group: str = ""
    distribution: Distribution | None = None
    weight: float = 1.0


class FaultError(Exception):
    """A fault of a record, with the ``kind`` of a DataError; if only its text is missing, ``rest`` is all else."""

    def __init__(self, reason: str, *, kind: str | None = None) -> None:
        self.reason, self.kind = reason, kind
        self.rest: Selection | None = None
        super().__init__(reason)
