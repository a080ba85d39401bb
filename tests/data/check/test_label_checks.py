"""What is odd about labels."""

from __future__ import annotations

from pathlib import Path

from textrnn.config import DataConfig
from textrnn.data.check.findings import Findings
from textrnn.data.check.label_checks import look_at_labels
from textrnn.data.check.scan import scan


def look(tmp_path: Path, *files: tuple[str, str | None, dict[str, int]]) -> list[str]:
    findings = Findings(20)
    scans = []
    for name, role, counts in files:
        lines = [f"{label}\ttext {i}\n" for label, count in counts.items() for i in range(count)]
        (tmp_path / name).write_text("".join(lines))
        scans.append(scan(str(tmp_path / name), DataConfig(), Findings(0), role=role))
    look_at_labels(scans, findings, DataConfig())
    return [
        f"{group.kind} {finding}".replace(f"{tmp_path}/", "") for group in findings.groups for finding in group.shown
    ]


def test_spelling_is_compared_over_all_files(tmp_path: Path) -> None:
    found = look(tmp_path, ("a", "train", {"refund": 10, "tea": 10}), ("b", None, {"Re fund": 10, "tea": 10}))
    assert found == [
        "label-spelling b:1: label 'Re fund' (10 here) differs from 'refund' by case or blanks only",
        "label-unknown b:1: label 'Re fund' (10 here) is not in a",
        "label-missing b: no text has the label 'refund'",
    ]


def test_rare_labels_matter_in_what_is_trained_on_alone(tmp_path: Path) -> None:
    found = look(tmp_path, ("a", "train", {"x": 200, "y": 10, "z": 9}), ("b", "test", {"x": 1, "y": 1, "z": 1}))
    assert found == [
        "few-texts a:211: label 'z' has 9 of 219 texts",
        "imbalance a:201: label 'x' has 20 times as many texts as 'y'",
        "imbalance a:211: label 'x' has 22 times as many texts as 'z'",
    ]


def test_what_is_trained_on_is_what_the_others_are_held_to(tmp_path: Path) -> None:
    found = look(tmp_path, ("v", "valid", {"x": 1, "y": 1}), ("t", "train", {"x": 10, "z": 10}))
    assert found == ["label-unknown v:2: label 'y' (1 here) is not in t", "label-missing v: no text has the label 'z'"]


def test_a_file_of_no_role_may_have_one_label(tmp_path: Path) -> None:
    assert look(tmp_path, ("a", None, {"x": 10})) == []
    assert look(tmp_path, ("a", "train", {"x": 10}))[0].startswith("refused a: every text has the label 'x'")
