"""Looking labelled files over: each by itself, and all against one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textrnn.config import DataConfig
from textrnn.data.check.duplicates import look_for_repeats
from textrnn.data.check.findings import Finding, Findings
from textrnn.data.check.label_checks import look_at_labels
from textrnn.data.check.scan import CountPieces, Integers, Scan, scan

QUANTILES = {"median": 0.5, "90 %": 0.9, "99 %": 0.99, "longest": 1.0}


@dataclass(frozen=True)
class CheckedFile:
    """The figures of one file.

    ``lengths`` are quantiles in pieces, or in characters where there is no tokenizer (``pieces`` and ``unknown`` are
    None then). ``cut_texts`` are those longer than ``data.max_length`` and ``cut`` what they have beyond it; in
    characters both are what they can be at most, for a piece has one character or more.
    """

    path: str
    role: str | None
    texts: int
    labels: dict[str, int]
    empty: int
    characters: int
    lengths: dict[str, int]
    pieces: int | None
    unknown: int | None
    cut_texts: int
    cut: int

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON."""
        return {"file" if key == "path" else key: value for key, value in vars(self).items()}


@dataclass(frozen=True)
class Report:
    """What a check of ``files`` found; ``unit`` is what lengths count: pieces or characters."""

    files: list[CheckedFile]
    findings: Findings
    unit: str
    max_length: int

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        return {
            "unit": self.unit,
            "max_length": self.max_length,
            "faults": self.findings.count(faults=True),
            "warnings": self.findings.count(faults=False),
            "files": [file.to_dict() for file in self.files],
            "findings": [group.to_dict() for group in self.findings.groups],
            "notes": self.findings.notes,
        }


def check_files(
    files: Sequence[tuple[str, str | None]], config: DataConfig, *, show: int, count: CountPieces | None = None
) -> Report:
    """Look over ``files``, each a path with its role: train, valid, test or None.

    Of each kind of finding in a file the first ``show`` are kept; all are counted. ``count`` is a tokenizer's.
    A million texts take some 0.6 GB, however long they are; they are set aside in a temporary file.
    """
    findings = Findings(show)
    scans = [scan(path, config, findings, role=role, count=count) for path, role in files]
    measured = [_measure(each, config, findings, in_pieces=count is not None) for each in scans]
    look_at_labels(scans, findings, config)
    look_for_repeats(scans, findings)
    return Report(measured, findings, "characters" if count is None else "pieces", config.max_length)


def _measure(scan: Scan, config: DataConfig, findings: Findings, *, in_pieces: bool) -> CheckedFile:
    rows = scan.rows
    _add(scan, findings, "empty", rows=np.flatnonzero(rows.empty), messages="the text is empty")
    lengths = rows.pieces if in_pieces else rows.characters
    beyond = np.maximum(lengths - config.max_length, 0)
    if in_pieces:
        cut, unknown = np.flatnonzero(beyond), np.flatnonzero(rows.unknown)
        _add(scan, findings, "cut", rows=cut, messages=f"{{length:,}} pieces; {config.max_length:,} of them are read")
        _add(scan, findings, "unknown-pieces", rows=unknown, messages="{unknown:,} of {length:,} pieces are unknown")
    values = np.quantile(lengths, list(QUANTILES.values()), method="higher") if len(rows) else [0] * len(QUANTILES)
    return CheckedFile(
        scan.path,
        scan.role,
        texts=len(rows),
        labels=dict(zip(scan.labels, scan.counts, strict=True)),
        empty=int(rows.empty.sum()),
        characters=int(rows.characters.sum()),
        lengths={name: int(value) for name, value in zip(QUANTILES, values, strict=True)},
        pieces=int(rows.pieces.sum()) if in_pieces else None,
        unknown=int(rows.unknown.sum()) if in_pieces else None,
        cut_texts=int(np.count_nonzero(beyond)),
        cut=int(beyond.sum()),
    )


def _add(scan: Scan, findings: Findings, kind: str, *, rows: Integers, messages: str) -> None:
    shown = []
    for row in rows[: findings.show].tolist():
        message = messages.format(length=scan.rows.pieces[row], unknown=scan.rows.unknown[row])
        shown.append(Finding(scan.path, int(scan.rows.lines[row]), message))
    findings.add_many(kind, scan.path, len(rows), shown)
