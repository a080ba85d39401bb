"""All findings are counted; the first ones are kept."""

from __future__ import annotations

from textrnn.data.check.findings import KINDS, Finding, Findings
from textrnn.errors import DataError


def test_faults_of_one_kind_form_one_group() -> None:
    findings = Findings(2)
    for number in (3, 4, 5):
        fault = DataError("d.csv", number, f"{number} columns, but the header has 2", kind="too many columns")
        findings.refuse(fault)
    findings.refuse(DataError("d.csv", 9, "no tab; write label<TAB>text"))
    findings.refuse(DataError("d.csv", 10, "no tab; or set the format"))
    findings.refuse(DataError("u.csv", 1, "UTF-16 text; convert it"))
    findings.refuse(DataError("u.csv", 1, "UTF-32 text; convert it"))
    assert [(group.what, group.count) for group in findings.groups] == [
        ("too many columns", 3),
        ("no tab", 2),
        ("UTF-16 text", 1),
        ("UTF-32 text", 1),
    ]
    assert [str(finding) for finding in findings.groups[0].shown] == [
        "d.csv:3: 3 columns, but the header has 2",
        "d.csv:4: 4 columns, but the header has 2",
    ]


def test_kinds_have_a_fixed_order_and_faults_are_counted_separately() -> None:
    findings = Findings(1)
    findings.add_many("cut", "b", [Finding("b", 1, "x"), Finding("b", 2, "y")], count=7)
    findings.add_many("cut", "b", [], count=0)
    findings.add("empty", Finding("a", 4, "the text is empty"))
    findings.refuse(DataError("-", 1, "no tab; write label<TAB>text"))
    assert [group.kind for group in findings.groups] == ["refused", "empty", "cut"]
    assert (findings.count(faults=True), findings.count(faults=False)) == (1, 8)
    assert str(findings.groups[0].shown[0]) == "standard input:1: no tab; write label<TAB>text"
    assert findings.groups[2].to_dict() == {
        "kind": "cut",
        "file": "b",
        "what": KINDS["cut"],
        "count": 7,
        "shown": [{"line": 1, "message": "x"}],
    }
