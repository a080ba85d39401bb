"""Findings of a check: all are counted, the first ones of each kind are kept with their lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from textrnn.errors import DataError

KINDS = {
    "refused": "faults that train refuses",
    "empty": "texts that are empty",
    "duplicate": "texts that repeat an earlier one with the same label",
    "conflict": "texts that repeat an earlier one with another label",
    "near-duplicate": "texts that differ from an earlier one only in case, spaces and punctuation; same label",
    "near-conflict": "texts that differ from an earlier one only in case, spaces and punctuation; another label",
    "similar": "texts that are similar to an earlier one",
    "overlap": "texts that are also in another file",
    "near-overlap": "texts that differ from one in another file only in case, spaces and punctuation",
    "similar-overlap": "texts that are similar to one in another file",
    "label-spelling": "labels that differ from another only in case or spaces",
    "label-blanks": "labels that start or end with a space",
    "label-unknown": "labels that are not in the training set",
    "label-missing": "labels of the training set that no text has",
    "few-texts": "labels with few texts",
    "imbalance": "labels that are rare compared with the most frequent one",
    "cut": "texts that are not read to their end",
    "unknown-pieces": "texts with unknown pieces",
    "control": "texts with control characters or invisible ones",
    "replacement": "texts with U+FFFD, which replaces a lost character",
    "mojibake": "texts that look like UTF-8 decoded with another encoding",
    "tab": "texts with a tab, perhaps from a third column",
}
"""The kinds of findings, in report order; all but ``refused`` are warnings."""

FAULT = "refused"


@dataclass(frozen=True)
class Finding:
    """One finding; ``line`` counts from 1 and is None for a finding about the whole file."""

    path: str
    line: int | None
    message: str

    def __str__(self) -> str:
        return str(DataError(self.path, self.line, self.message))


@dataclass
class Group:
    """The findings of one kind in one file: ``shown`` has the first of ``count``; ``what`` describes the kind."""

    kind: str
    path: str
    what: str
    count: int = 0
    shown: list[Finding] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the group as JSON values."""
        shown = [{"line": finding.line, "message": finding.message} for finding in self.shown]
        return {"kind": self.kind, "file": self.path, "what": self.what, "count": self.count, "shown": shown}


class Findings:
    """Findings by kind and file, with the first ``max_shown`` of each; ``notes`` list what was not checked."""

    def __init__(self, max_shown: int) -> None:
        self.max_shown = max_shown
        self.notes: list[str] = []
        self._groups: dict[tuple[str, str, str], Group] = {}

    def add(self, kind: str, finding: Finding, *, what: str | None = None) -> None:
        """Add one finding."""
        self.add_many(kind, finding.path, [finding], count=1, what=what)

    def add_many(self, kind: str, path: str, first: Iterable[Finding], *, count: int, what: str | None = None) -> None:
        """Add ``count`` findings; ``first`` needs to have only those that are shown."""
        if count:
            what = KINDS[kind] if what is None else what
            group = self._groups.setdefault((kind, path, what), Group(kind, path, what))
            group.count += count
            group.shown += list(first)[: max(0, self.max_shown - len(group.shown))]

    def refuse(self, fault: DataError) -> None:
        """Add a fault that train refuses; faults of one kind form one group."""
        self.add(FAULT, Finding(str(fault.path), fault.line_number, fault.reason), what=fault.kind)

    @property
    def groups(self) -> list[Group]:
        """All groups, by kind."""
        kinds = list(KINDS)
        return sorted(self._groups.values(), key=lambda group: kinds.index(group.kind))

    def count(self, *, faults: bool) -> int:
        """Return the number of faults, or of warnings."""
        return sum(group.count for group in self._groups.values() if (group.kind == FAULT) == faults)
