"""What a check finds: counted in full, kept with its lines up to a bound."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from textrnn.errors import DataError

KINDS = {
    "refused": "what train refuses",
    "empty": "texts that are empty",
    "duplicate": "texts that stand there before, with the same label",
    "conflict": "texts that stand there before, with another label",
    "near-duplicate": "texts equal to one before but for case, blanks and punctuation, with the same label",
    "near-conflict": "texts equal to one before but for case, blanks and punctuation, with another label",
    "similar": "texts much like one before",
    "overlap": "texts that stand in another file too",
    "near-overlap": "texts equal to one of another file but for case, blanks and punctuation",
    "similar-overlap": "texts much like one of another file",
    "label-spelling": "labels that differ from another by case or blanks only",
    "label-blanks": "labels that begin or end with a blank",
    "label-unknown": "labels that the training text does not have",
    "label-missing": "labels of the training text that are not there",
    "few-texts": "labels with few texts",
    "imbalance": "labels that are rare beside the most frequent one",
    "cut": "texts that are cut",
    "unknown-pieces": "texts with unknown pieces",
    "control": "texts with control characters or invisible ones",
    "replacement": "texts with U+FFFD, where a character was lost",
    "mojibake": "texts that look like UTF-8 read as another encoding",
    "tab": "texts with a tab: of a third column?",
}
"""The kinds of findings, in the order in which they are told; ``refused`` is the one that is no mere warning."""

FAULT = "refused"


@dataclass(frozen=True)
class Finding:
    """One finding; ``line`` counts from 1, None where it is of the whole file."""

    path: str
    line: int | None
    message: str

    def __str__(self) -> str:
        return str(DataError(self.path, self.line, self.message))


@dataclass
class Group:
    """The findings of one kind in one file, ``shown`` being the first of ``count``; ``what`` tells faults apart."""

    kind: str
    path: str
    what: str
    count: int = 0
    shown: list[Finding] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the group as plain values for JSON."""
        shown = [{"line": finding.line, "message": finding.message} for finding in self.shown]
        return {"kind": self.kind, "file": self.path, "what": self.what, "count": self.count, "shown": shown}


class Findings:
    """Findings by kind and file, of each the first ``show`` ones; ``notes`` say what was not looked at."""

    def __init__(self, show: int) -> None:
        self.show = show
        self.notes: list[str] = []
        self._groups: dict[tuple[str, str, str], Group] = {}

    def add(self, kind: str, finding: Finding, *, what: str | None = None) -> None:
        """Add one finding."""
        group = self._find_group(kind, finding.path, KINDS[kind] if what is None else what)
        group.count += 1
        if len(group.shown) < self.show:
            group.shown.append(finding)

    def add_many(self, kind: str, path: str, count: int, first: Iterable[Finding]) -> None:
        """Add ``count`` findings, of which ``first`` need hold no more than are shown."""
        if count:
            group = self._find_group(kind, path, KINDS[kind])
            group.count += count
            group.shown += list(first)[: max(0, self.show - len(group.shown))]

    def refuse(self, fault: DataError) -> None:
        """Add what train would refuse; faults that differ in numbers alone are of one group."""
        what = re.sub(r"\d+", "N", re.split(r"[;:(]", fault.reason)[0]).strip()
        self.add(FAULT, Finding(str(fault.path), fault.line_number, fault.reason), what=what)

    @property
    def groups(self) -> list[Group]:
        """All groups, by kind."""
        kinds = list(KINDS)
        return sorted(self._groups.values(), key=lambda group: kinds.index(group.kind))

    def count(self, *, faults: bool) -> int:
        """Return how many findings are faults, or how many are warnings."""
        return sum(group.count for group in self._groups.values() if (group.kind == FAULT) == faults)

    def _find_group(self, kind: str, path: str, what: str) -> Group:
        return self._groups.setdefault((kind, path, what), Group(kind, path, what))
