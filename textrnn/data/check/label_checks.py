"""Checks of the labels of files: spelling, frequency, and agreement with the training set; of scores, their range."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

from textrnn.config import DataConfig
from textrnn.data.check.findings import Finding, Findings
from textrnn.data.check.scan import Scan
from textrnn.data.labels import find_label_set_fault, one_label_fault, one_score_fault, unique_label_sets
from textrnn.errors import DataError, shorten

FEW_TEXTS = 10
"""A training label with fewer texts is reported."""
IMBALANCE = 20
"""A label is reported if the most frequent label has this many times as many texts."""


def check_labels(scans: Sequence[Scan], findings: Findings, config: DataConfig) -> None:
    """Add findings about labels; the training file, or else the first file, is the reference for the others."""
    for scan in scans:
        if config.multi_label and scan.role == "train" and len(scan):
            fault = find_label_set_fault(unique_label_sets(scan.sets), config.label_separator)
            if fault:
                findings.refuse(DataError(scan.path, None, fault))
    filled = [scan for scan in scans if scan.labels]
    if config.target == "score":
        _check_scores(filled, findings)
        return
    if not filled:
        return
    _check_spelling(filled, findings)
    for scan in filled:
        if scan.role in (None, "train"):
            _check_frequency(scan, findings)
    reference = next((scan for scan in filled if scan.role == "train"), filled[0])
    for scan in filled:
        if scan is not reference:
            _compare(reference, scan, findings)
    if reference.role == "train":
        _check_trainable(reference, filled, findings, multi_label=config.multi_label)


def _check_scores(scans: Sequence[Scan], findings: Findings) -> None:
    for scan in scans:
        if scan.role == "train" and len({float(score) for score in scan.labels}) < 2:
            findings.refuse(DataError(scan.path, None, one_score_fault(scan.labels[0])))


def _check_spelling(scans: Sequence[Scan], findings: Findings) -> None:
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for scan in scans:
        for label, count, _ in scan.label_rows():
            spellings[_normalize(label)][label] += count
    for scan in scans:
        for label, count, line in scan.label_rows():
            counts = spellings[_normalize(label)]
            usual = max(counts, key=lambda spelling: (counts[spelling], spelling))
            if label != usual:
                message = (
                    f"label '{shorten(label)}' ({count:,} here) differs from '{shorten(usual)}' only in case or spaces"
                )
                findings.add("label-spelling", Finding(scan.path, line, message))
            elif label != label.strip():
                message = f"label '{shorten(label)}' ({count:,} here) starts or ends with a space"
                findings.add("label-blanks", Finding(scan.path, line, message))


def _normalize(label: str) -> str:
    return "".join(unicodedata.normalize("NFKC", label).casefold().split())


def _check_frequency(scan: Scan, findings: Findings) -> None:
    most = max(scan.counts)
    frequent = scan.labels[scan.counts.index(most)]
    for label, count, line in scan.label_rows():
        if count < FEW_TEXTS:
            findings.add(
                "few-texts", Finding(scan.path, line, f"label '{shorten(label)}' has {count} of {len(scan):,} texts")
            )
        if most >= IMBALANCE * count:
            message = f"label '{shorten(frequent)}' has {most / count:,.0f} times as many texts as '{shorten(label)}'"
            findings.add("imbalance", Finding(scan.path, line, message))


def _compare(reference: Scan, scan: Scan, findings: Findings) -> None:
    known, present = set(reference.labels), set(scan.labels)
    for label, count, line in scan.label_rows():
        if label not in known:
            message = f"label '{shorten(label)}' ({count:,} here) is not in {reference.path}"
            findings.add("label-unknown", Finding(scan.path, line, message))
    for label in reference.labels:
        if label not in present:
            findings.add("label-missing", Finding(scan.path, None, f"no text has the label '{shorten(label)}'"))


def _check_trainable(train: Scan, scans: Sequence[Scan], findings: Findings, *, multi_label: bool) -> None:
    """Add the faults of labels that train refuses."""
    valid = next((scan for scan in scans if scan.role == "valid"), None)
    if len(train.sets) < 2 and not multi_label:
        findings.refuse(DataError(train.path, None, one_label_fault(train.labels[0])))
    if valid is None and max(train.counts) < 2:
        reason = "too few texts to hold out a validation set; name one with --valid"
        findings.refuse(DataError(train.path, None, reason))
    if valid is not None and not set(valid.labels) & set(train.labels):
        reason = f"no label of this file is in the training set, such as '{shorten(valid.labels[0])}'"
        findings.refuse(DataError(valid.path, valid.first_lines[0], reason))
