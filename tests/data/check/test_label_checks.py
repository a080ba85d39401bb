"""Findings about labels."""

from __future__ import annotations

from pathlib import Path

from textrnn.config import DataConfig
from textrnn.data.check.findings import Findings
from textrnn.data.check.label_checks import check_labels
from textrnn.data.check.scan import scan


def check(tmp_path: Path, *files: tuple[str, str | None, dict[str, int]]) -> list[str]:
    findings = Findings(20)
    scans = []
    for name, role, counts in files:
        lines = [f"{label}\ttext {i}\n" for label, count in counts.items() for i in range(count)]
        (tmp_path / name).write_text("".join(lines))
        scans.append(scan(str(tmp_path / name), DataConfig(), Findings(0), role=role))
    check_labels(scans, findings, DataConfig())
    return [
        f"{group.kind} {finding}".replace(f"{tmp_path}/", "") for group in findings.groups for finding in group.shown
    ]


def test_spelling_is_compared_over_all_files(tmp_path: Path) -> None:
    found = check(tmp_path, ("a", "train", {"refund": 10, "tea": 10}), ("b", None, {"Re fund": 10, "tea": 10}))
    assert found == [
        "label-spelling b:1: label 'Re fund' (10 here) differs from 'refund' only in case or spaces",
        "label-unknown b:1: label 'Re fund' (10 here) is not in a",
        "label-missing b: no text has the label 'refund'",
    ]


def test_rare_labels_are_reported_only_for_training_data(tmp_path: Path) -> None:
    found = check(tmp_path, ("a", "train", {"x": 200, "y": 10, "z": 9}), ("b", "test", {"x": 1, "y": 1, "z": 1}))
    assert found == [
        "few-texts a:211: label 'z' has 9 of 219 texts",
        "imbalance a:201: label 'x' has 20 times as many texts as 'y'",
        "imbalance a:211: label 'x' has 22 times as many texts as 'z'",
    ]


def test_the_training_file_is_the_reference(tmp_path: Path) -> None:
    found = check(tmp_path, ("v", "valid", {"x": 1, "y": 1}), ("t", "train", {"x": 10, "z": 10}))
    assert found == ["label-unknown v:2: label 'y' (1 here) is not in t", "label-missing v: no text has the label 'z'"]


def test_a_file_without_a_role_may_have_one_label(tmp_path: Path) -> None:
    assert check(tmp_path, ("a", None, {"x": 10})) == []
    assert check(tmp_path, ("a", "train", {"x": 10}))[0].startswith("refused a: every text has the label 'x'")
