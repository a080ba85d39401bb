"""The check of labelled files: each on its own, and all against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textrnn.config import DataConfig
from textrnn.data.check.duplicates import check_duplicates
from textrnn.data.check.findings import Finding, Findings
from textrnn.data.check.label_checks import check_labels
from textrnn.data.check.scan import CountPieces, Integers, Scan, scan
from textrnn.data.windows import Windows

QUANTILES = {"median": 0.5, "90 %": 0.9, "99 %": 0.99, "longest": 1.0}


@dataclass(frozen=True)
class CheckedFile:
    """The figures of one file.

    ``lengths`` are quantiles in pieces, or in characters without a tokenizer, when ``pieces`` and ``unknown`` are None.
    ``cut_texts`` is the number of texts longer than ``data.max_length``, and ``cut`` the pieces that are not read by
    ``data.long_texts``. Counted in characters both are upper bounds, because a piece has at least one character.
    ``scores`` are the lowest score, the mean and the highest one, if the files have scores instead of ``labels``.
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
    scores: dict[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {"file" if key == "path" else key: value for key, value in vars(self).items()}


@dataclass(frozen=True)
class Report:
    """The result of a check of ``files``; ``unit`` is that of the lengths: pieces or characters."""

    files: list[CheckedFile]
    findings: Findings
    unit: str
    max_length: int
    long_texts: str = "cut"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "unit": self.unit,
            "max_length": self.max_length,
            "long_texts": self.long_texts,
            "faults": self.findings.count(faults=True),
            "warnings": self.findings.count(faults=False),
            "files": [file.to_dict() for file in self.files],
            "findings": [group.to_dict() for group in self.findings.groups],
            "notes": self.findings.notes,
        }


def check_files(
    files: Sequence[tuple[str, str | None]],
    config: DataConfig,
    *,
    max_shown: int,
    count_pieces: CountPieces | None = None,
) -> Report:
    """Check ``files``, each a path with its role: train, valid, test or None.

    The first ``max_shown`` findings of each kind and file are kept; all are counted. ``count_pieces`` belongs to a
    tokenizer. A million texts of any length take about 0.6 GB of memory; their letters are spooled to a temporary file.
    """
    findings = Findings(max_shown)
    scans = [scan(path, config, findings, role=role, count_pieces=count_pieces) for path, role in files]
    checked = [_check_lengths(each, config, findings, in_pieces=count_pieces is not None) for each in scans]
    check_labels(scans, findings, config)
    check_duplicates(scans, findings)
    unit = "characters" if count_pieces is None else "pieces"
    return Report(checked, findings, unit, config.max_length, config.long_texts)


def _check_lengths(scan: Scan, config: DataConfig, findings: Findings, *, in_pieces: bool) -> CheckedFile:
    rows, is_score = scan.rows, config.target == "score"
    _add(scan, findings, "empty", rows=np.flatnonzero(rows.empty), message="the text is empty")
    lengths = rows.pieces if in_pieces else rows.characters
    windows = Windows.of(config)
    unread = lengths - windows.count_read(lengths)
    if in_pieces:
        cut, unknown = np.flatnonzero(unread), np.flatnonzero(rows.unknown)
        how = "truncated to" if windows.most == 1 else f"read in {windows.most} windows:"
        _add(scan, findings, "cut", rows=cut, message=f"{{length:,}} pieces, {how} {windows.limit or 0:,}")
        _add(scan, findings, "unknown-pieces", rows=unknown, message="{unknown:,} of {length:,} pieces are unknown")
    values = np.quantile(lengths, list(QUANTILES.values()), method="higher") if len(rows) else [0] * len(QUANTILES)
    return CheckedFile(
        scan.path,
        scan.role,
        texts=len(rows),
        labels={} if is_score else dict(zip(scan.labels, scan.counts, strict=True)),
        empty=int(rows.empty.sum()),
        characters=int(rows.characters.sum()),
        lengths={name: int(value) for name, value in zip(QUANTILES, values, strict=True)},
        pieces=int(rows.pieces.sum()) if in_pieces else None,
        unknown=int(rows.unknown.sum()) if in_pieces else None,
        cut_texts=int(np.count_nonzero(lengths > config.max_length)),
        cut=int(unread.sum()),
        scores=_summarize_scores(scan) if is_score and scan.labels else None,
    )


def _summarize_scores(scan: Scan) -> dict[str, float]:
    scores = np.array(scan.labels, np.float64)
    mean = float(np.average(scores, weights=scan.counts))
    return {"lowest": float(scores.min()), "mean": mean, "highest": float(scores.max())}


def _add(scan: Scan, findings: Findings, kind: str, *, rows: Integers, message: str) -> None:
    shown = []
    for row in rows[: findings.max_shown].tolist():
        text = message.format(length=scan.rows.pieces[row], unknown=scan.rows.unknown[row])
        shown.append(Finding(scan.path, int(scan.rows.lines[row]), text))
    findings.add_many(kind, scan.path, shown, count=len(rows))
