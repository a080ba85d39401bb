"""Texts that come again: in one file or in two, the same or nearly so, with the same label or another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from textrnn.data.check.findings import Finding, Findings
from textrnn.data.check.minhash import SIMILAR, Hashes, find_first, find_pairs, measure_likeness
from textrnn.data.check.scan import Integers, Scan
from textrnn.data.labels import unify

COMPARED_CHARACTERS = 50_000_000
"""So much text is compared by its trigrams, at most."""


class Files:
    """The rows of all files end to end: row ``r`` (G of them) is of the file ``file_of[r]`` (G,) int64."""

    def __init__(self, scans: Sequence[Scan]) -> None:
        self.scans = scans
        sizes = [len(scan) for scan in scans]
        self.starts = np.append(0, np.cumsum(sizes))
        self.file_of: Integers = np.repeat(np.arange(len(scans)), sizes)
        self.texts: Hashes = np.concatenate([scan.rows.texts for scan in scans])
        self.letters: Hashes = np.concatenate([scan.rows.letters for scan in scans])
        self.empty = np.concatenate([scan.rows.empty for scan in scans])
        # one numbering of labels for all files
        names = {unify(name): None for scan in scans for name in scan.sets}
        numbers = {members: number for number, members in enumerate(names)}
        of_file = [np.array([numbers[unify(name)] for name in scan.sets], np.int64) for scan in scans]
        self.classes = np.concatenate([own[s.rows.classes] for own, s in zip(of_file, scans, strict=True)])

    def find(self, row: int) -> tuple[Scan, int]:
        """Return the file of a row, and its number there."""
        file = int(self.file_of[row])
        return self.scans[file], int(row - self.starts[file])

    def describe(self, row: int, first: int, what: str) -> Finding:
        """Return the finding that ``row`` is ``what``, such as "the same text as", to ``first``."""
        (scan, own), (other, there) = self.find(row), self.find(first)
        line = int(other.rows.lines[there])
        place = f"line {line}" if other is scan else f"{other.path}:{line}"
        mine, its = scan.label_of(own), other.label_of(there)
        labels = f", labelled '{mine}' here and '{its}' there" if mine != its else ""
        return Finding(scan.path, int(scan.rows.lines[own]), f"{what} {place}{labels}")


def look_for_repeats(scans: Sequence[Scan], findings: Findings) -> None:
    """Add the texts of ``scans`` that come again. Of each text what comes first is what the later ones are held to.

    A text is told once within its file, and once with another one: as the same text if it is, else as equal but for
    case, blanks and punctuation, else as much alike.
    """
    files = Files(scans)
    if not len(files.texts):
        return
    told_inside = files.empty.copy()
    told_across = files.empty.copy()
    for keys, what, inside, across in (
        (files.texts, "the same text as", ("duplicate", "conflict"), "overlap"),
        (
            files.letters,
            "equal but for case, blanks and punctuation to",
            ("near-duplicate", "near-conflict"),
            "near-overlap",
        ),
    ):
        within = _find_within_files(files, keys)
        rows = np.arange(len(keys))
        again = (within != rows) & ~told_inside
        other_label = files.classes != files.classes[within]
        _add(files, findings, inside[0], what=what, rows=np.flatnonzero(again & ~other_label), first=within)
        _add(files, findings, inside[1], what=what, rows=np.flatnonzero(again & other_label), first=within)
        first = find_first(keys)
        elsewhere = (files.file_of[first] != files.file_of) & ~told_across
        _add(files, findings, across, what=what, rows=np.flatnonzero(elsewhere), first=first)
        told_inside |= again
        told_across |= elsewhere
    _look_for_similar(files, findings)


def _find_within_files(files: Files, keys: Hashes) -> Integers:
    """Return for each row the first of its own file with the same key."""
    parts = zip(files.starts[:-1].tolist(), files.starts[1:].tolist(), strict=True)
    return np.concatenate([find_first(keys[start:stop]) + start for start, stop in parts if stop > start])


def _add(files: Files, findings: Findings, kind: str, *, what: str, rows: Integers, first: Integers) -> None:
    """Add the findings of ``rows``, file by file; only those that are shown are put into words."""
    for number, scan in enumerate(files.scans):
        own = rows[files.file_of[rows] == number]
        shown = (files.describe(int(row), int(first[row]), what) for row in own[: findings.show])
        findings.add_many(kind, scan.path, len(own), shown)


def _look_for_similar(files: Files, findings: Findings) -> None:
    """Compare texts whose signatures say that they are alike; the first with the same letters stands for the others."""
    unique = np.flatnonzero((find_first(files.letters) == np.arange(len(files.letters))) & ~files.empty)
    parts = zip(files.scans, files.starts[:-1], files.starts[1:], strict=True)
    chosen = [scan.rows.signatures[unique[(unique >= start) & (unique < stop)] - start] for scan, start, stop in parts]
    pairs = unique[find_pairs(np.concatenate(chosen))]
    for row, first, share in _measure(files, pairs, findings):
        kind = "similar" if files.file_of[row] == files.file_of[first] else "similar-overlap"
        findings.add(kind, files.describe(row, first, f"{100 * share:.0f} % of its trigrams are those of"))


def _measure(files: Files, pairs: Integers, findings: Findings) -> Iterator[tuple[int, int, float]]:
    """Yield those of ``pairs`` (P, 2) that are much alike, and how much; a row once within its file and once across."""
    told = set()
    left = COMPARED_CHARACTERS
    for at, (row, first) in enumerate(pairs.tolist()):
        across = bool(files.file_of[row] != files.file_of[first])
        if (row, across) in told:
            continue
        if left <= 0:
            findings.notes.append(
                f"{len(pairs) - at:,} of {len(pairs):,} pairs of texts that may be much alike were not compared: "
                "there are too many"
            )
            return
        (scan, own), (other, there) = files.find(row), files.find(first)
        one, two = scan.read_letters(own), other.read_letters(there)
        left -= len(one) + len(two)
        if (share := measure_likeness(one, two)) >= SIMILAR:
            told.add((row, across))
            yield row, first, share
