"""Repeated texts, in one file or across files: equal, nearly equal or similar, with the same or another label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from textrnn.data.check.findings import Finding, Findings
from textrnn.data.check.scan import Integers, Scan
from textrnn.data.labels import parse_label_set
from textrnn.data.minhash import SIMILAR, Hashes, find_first, find_pairs, jaccard_similarity
from textrnn.errors import has_rows, name_place, shorten

COMPARED_CHARACTERS = 50_000_000
"""The most text that is compared by its trigrams."""

_SAME = "the same text as"
_NEARLY_SAME = "differs only in case, spaces and punctuation from"


class Files:
    """The rows of all files end to end; row ``r`` belongs to the file ``file_of[r]`` (rows,) int64."""

    def __init__(self, scans: Sequence[Scan]) -> None:
        self.scans = scans
        sizes = [len(scan) for scan in scans]
        self.starts = np.append(0, np.cumsum(sizes))
        self.file_of: Integers = np.repeat(np.arange(len(scans)), sizes)
        self.texts: Hashes = np.concatenate([scan.rows.texts for scan in scans])
        self.letters: Hashes = np.concatenate([scan.rows.letters for scan in scans])
        self.empty = np.concatenate([scan.rows.empty for scan in scans])
        # class numbers differ between files: number the label sets of all files together
        index: dict[tuple[str, ...], int] = {}
        numbers = [[index.setdefault(parse_label_set(name), len(index)) for name in scan.sets] for scan in scans]
        self.classes = np.concatenate(
            [np.array(own, np.int64)[scan.rows.classes] for own, scan in zip(numbers, scans, strict=True)]
        )

    def locate(self, row: int) -> tuple[Scan, int]:
        """Return the file of a row, and the row's index in it."""
        file = int(self.file_of[row])
        return self.scans[file], int(row - self.starts[file])

    def describe(self, row: int, first: int, relation: str) -> Finding:
        """Return the finding that ``row`` has a ``relation``, such as "the same text as", to ``first``."""
        (scan, own), (other, other_row) = self.locate(row), self.locate(first)
        line = int(other.rows.lines[other_row])
        place = f"{'row' if has_rows(scan.path) else 'line'} {line}" if other is scan else name_place(other.path, line)
        label, other_label = scan.label_of(own), other.label_of(other_row)
        labels = (
            f", labelled '{shorten(label)}' here and '{shorten(other_label)}' there" if label != other_label else ""
        )
        return Finding(scan.path, int(scan.rows.lines[own]), f"{relation} {place}{labels}")


def check_duplicates(scans: Sequence[Scan], findings: Findings) -> None:
    """Add findings about the texts of ``scans`` that repeat an earlier text.

    Each text is reported at most once within its file and once across files: as equal, else as nearly equal, else as
    similar.
    """
    files = Files(scans)
    if not len(files.texts):
        return
    reported_within = files.empty.copy()
    reported_across = files.empty.copy()
    for keys, relation, prefix in ((files.texts, _SAME, ""), (files.letters, _NEARLY_SAME, "near-")):
        within = _find_first_in_file(files, keys)
        repeats = (within != np.arange(len(keys))) & ~reported_within
        other_label = files.classes != files.classes[within]
        for kind, rows in (("duplicate", repeats & ~other_label), ("conflict", repeats & other_label)):
            _add(files, findings, prefix + kind, relation=relation, rows=np.flatnonzero(rows), first=within)
        first = find_first(keys)
        elsewhere = (files.file_of[first] != files.file_of) & ~reported_across
        _add(files, findings, f"{prefix}overlap", relation=relation, rows=np.flatnonzero(elsewhere), first=first)
        reported_within |= repeats
        reported_across |= elsewhere
    _check_similar(files, findings)


def _find_first_in_file(files: Files, keys: Hashes) -> Integers:
    """Return the index of the first row of the same file with the same key as each row."""
    parts = zip(files.starts[:-1].tolist(), files.starts[1:].tolist(), strict=True)
    return np.concatenate([find_first(keys[start:stop]) + start for start, stop in parts if stop > start])


def _add(files: Files, findings: Findings, kind: str, *, relation: str, rows: Integers, first: Integers) -> None:
    """Add the findings of ``rows``, file by file; only those that are shown are formatted."""
    for number, scan in enumerate(files.scans):
        own = rows[files.file_of[rows] == number]
        shown = (files.describe(int(row), int(first[row]), relation) for row in own[: findings.max_shown])
        findings.add_many(kind, scan.path, shown, count=len(own))


def _check_similar(files: Files, findings: Findings) -> None:
    """Compare the texts whose signatures are similar; of nearly equal texts only the first is compared."""
    unique = np.flatnonzero((find_first(files.letters) == np.arange(len(files.letters))) & ~files.empty)
    parts = zip(files.scans, files.starts[:-1], files.starts[1:], strict=True)
    chosen = [scan.rows.signatures[unique[(unique >= start) & (unique < stop)] - start] for scan, start, stop in parts]
    pairs = unique[find_pairs(np.concatenate(chosen))]
    for row, first, similarity in _measure(files, pairs, findings):
        kind = "similar" if files.file_of[row] == files.file_of[first] else "similar-overlap"
        findings.add(kind, files.describe(row, first, f"shares {100 * similarity:.0f} % of its trigrams with"))


def _measure(files: Files, pairs: Integers, findings: Findings) -> Iterator[tuple[int, int, float]]:
    """Yield the similar ``pairs`` (P, 2) with their similarity; a row at most once within its file and once across."""
    reported = set()
    budget = COMPARED_CHARACTERS
    for position, (row, first) in enumerate(pairs.tolist()):
        across = bool(files.file_of[row] != files.file_of[first])
        if (row, across) in reported:
            continue
        if budget <= 0:
            findings.notes.append(
                f"{len(pairs) - position:,} of {len(pairs):,} pairs of possibly similar texts were not compared, "
                "because there are too many"
            )
            return
        (scan, own), (other, other_row) = files.locate(row), files.locate(first)
        letters, other_letters = scan.read_letters(own), other.read_letters(other_row)
        budget -= len(letters) + len(other_letters)
        if (similarity := jaccard_similarity(letters, other_letters)) >= SIMILAR:
            reported.add((row, across))
            yield row, first, similarity
