"""Repeated texts, in one file and across files."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.config import DataConfig
from textrnn.data.check import duplicates
from textrnn.data.check.duplicates import check_duplicates
from textrnn.data.check.findings import Findings
from textrnn.data.check.scan import scan


def check(tmp_path: Path, *files: str, show: int = 20) -> Findings:
    findings = Findings(show)
    scans = []
    for number, content in enumerate(files):
        (tmp_path / "abc"[number]).write_text(content)
        scans.append(scan(str(tmp_path / "abc"[number]), DataConfig(format="tsv"), Findings(0)))
    check_duplicates(scans, findings)
    return findings


def list_findings(tmp_path: Path, findings: Findings) -> list[str]:
    shown = [(group.kind, finding) for group in findings.groups for finding in group.shown]
    return [f"{kind} {finding}".replace(f"{tmp_path}/", "") for kind, finding in shown]


def test_a_text_is_reported_once_within_its_file_and_once_across(tmp_path: Path) -> None:
    found = check(tmp_path, "x\tgreen tea\n", "x\tother\nx\tGreen Tea!\ny\tgreen tea\nx\tgreen tea\n")
    assert list_findings(tmp_path, found) == [
        "conflict b:4: the same text as line 3, labelled 'x' here and 'y' there",
        "near-conflict b:3: differs only in case, spaces and punctuation from line 2, labelled 'y' here and 'x' there",
        "overlap b:3: the same text as a:1, labelled 'y' here and 'x' there",
        "overlap b:4: the same text as a:1",
        "near-overlap b:2: differs only in case, spaces and punctuation from a:1",
    ]


def test_empty_texts_are_not_duplicates(tmp_path: Path) -> None:
    assert check(tmp_path, "x\t\ny\t\nx\t  \n", "x\t\n").groups == []


def test_labels_are_compared_by_name_across_files(tmp_path: Path) -> None:
    found = check(tmp_path, "x\tone\ny\ttwo\n", "y\ttwo\nx\tone\n")
    assert list_findings(tmp_path, found) == ["overlap b:1: the same text as a:2", "overlap b:2: the same text as a:1"]


def test_files_without_rows_are_skipped(tmp_path: Path) -> None:
    assert check(tmp_path, "", "").groups == []
    found = check(tmp_path, "", "x\tone\nx\tone\n", "x\tone\n")
    assert list_findings(tmp_path, found) == [
        "duplicate b:2: the same text as line 1",
        "overlap c:1: the same text as b:1",
    ]


def test_the_limit_of_compared_text_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = "the quick brown fox jumps over the lazy dog and far away"
    rows = "".join(f"x\t{start} {'abcdefghij'[i]}\n" for i in range(10))
    full = check(tmp_path, rows)
    assert [(group.kind, group.count) for group in full.groups] == [("similar", 9)]
    assert full.notes == []
    monkeypatch.setattr(duplicates, "COMPARED_CHARACTERS", 300)
    part = check(tmp_path, rows)
    assert part.groups[0].count == 4
    assert "were not compared" in part.notes[0]
