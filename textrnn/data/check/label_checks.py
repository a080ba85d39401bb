"""What is odd about the labels of files: their spelling, their numbers, and which file has them."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from textrnn.config import DataConfig
from textrnn.data.check.findings import Finding, Findings
from textrnn.data.check.scan import Scan
from textrnn.data.labels import find_fault_of_sets, unify_sets
from textrnn.errors import DataError

FEW_TEXTS = 10
"""A label with fewer texts to train on is told of."""
IMBALANCE = 20
"""So many times as frequent as another a label is told of."""


def look_at_labels(scans: Sequence[Scan], findings: Findings, config: DataConfig) -> None:
    """Add what is odd. The first file, or the one for training, is what the others are held to."""
    for scan in scans:
        fault = find_fault_of_sets(unify_sets(scan.sets), config.label_separator) if config.multi_label else None
        if fault and scan.role == "train" and len(scan):
            findings.refuse(DataError(scan.path, None, fault))
    filled = [scan for scan in scans if scan.labels]
    if not filled:
        return
    _compare_spelling(filled, findings)
    for scan in filled:
        if scan.role in (None, "train"):
            _count(scan, findings)
    reference = next((scan for scan in filled if scan.role == "train"), filled[0])
    for scan in filled:
        if scan is not reference:
            _compare(reference, scan, findings)
    if reference.role == "train":
        _refuse(reference, filled, findings, several=config.multi_label)


def _compare_spelling(scans: Sequence[Scan], findings: Findings) -> None:
    spelled: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for scan in scans:
        for label, count in zip(scan.labels, scan.counts, strict=True):
            spelled[_spell(label)][label] += count
    for scan in scans:
        for label, count, line in zip(scan.labels, scan.counts, scan.first_lines, strict=True):
            ways = spelled[_spell(label)]
            usual = max(ways, key=lambda way: (ways[way], way))
            if label != usual:
                message = f"label '{label}' ({count:,} here) differs from '{usual}' by case or blanks only"
                findings.add("label-spelling", Finding(scan.path, line, message))
            elif label != label.strip():
                message = f"label '{label}' ({count:,} here) begins or ends with a blank"
                findings.add("label-blanks", Finding(scan.path, line, message))


def _spell(label: str) -> str:
    return "".join(unicodedata.normalize("NFKC", label).casefold().split())


def _count(scan: Scan, findings: Findings) -> None:
    most = max(scan.counts)
    frequent = scan.labels[scan.counts.index(most)]
    for label, count, line in zip(scan.labels, scan.counts, scan.first_lines, strict=True):
        if count < FEW_TEXTS:
            findings.add("few-texts", Finding(scan.path, line, f"label '{label}' has {count} of {len(scan):,} texts"))
        if most >= IMBALANCE * count:
            message = f"label '{frequent}' has {most / count:,.0f} times as many texts as '{label}'"
            findings.add("imbalance", Finding(scan.path, line, message))


def _compare(reference: Scan, scan: Scan, findings: Findings) -> None:
    known, there = set(reference.labels), set(scan.labels)
    for label, count, line in zip(scan.labels, scan.counts, scan.first_lines, strict=True):
        if label not in known:
            message = f"label '{label}' ({count:,} here) is not in {reference.path}"
            findings.add("label-unknown", Finding(scan.path, line, message))
    for label in reference.labels:
        if label not in there:
            findings.add("label-missing", Finding(scan.path, None, f"no text has the label '{label}'"))


def _refuse(train: Scan, scans: Sequence[Scan], findings: Findings, *, several: bool) -> None:
    """Add what train would refuse of the labels."""
    valid = next((scan for scan in scans if scan.role == "valid"), None)
    if len(train.sets) < 2 and not several:
        reason = f"every text has the label '{train.labels[0]}'; there is nothing to tell apart"
        findings.refuse(DataError(train.path, None, reason))
    if valid is None and max(train.counts) < 2:
        findings.refuse(DataError(train.path, None, "too few texts to hold some out; give a valid set with --valid"))
    if valid is not None and not set(valid.labels) & set(train.labels):
        reason = f"no label of this file is in the training text; '{valid.labels[0]}' is not"
        findings.refuse(DataError(valid.path, valid.first_lines[0], reason))
