"""The page that ``textrnn data check`` prints."""

from __future__ import annotations

from textrnn.cli.commands.data.data_report import format_report
from textrnn.data.check import CheckedFile, Report
from textrnn.data.check.findings import KINDS, Finding, Findings
from textrnn.errors import DataError


def make_file(path: str, role: str | None, labels: dict[str, int], pieces: int | None) -> CheckedFile:
    return CheckedFile(
        path,
        role,
        texts=sum(labels.values()),
        labels=labels,
        empty=1,
        characters=400,
        lengths={"median": 3, "longest": 1000},
        pieces=pieces,
        unknown=None if pieces is None else 5,
        cut_texts=1,
        cut=20,
    )


def test_tables_come_first_then_faults_then_warnings() -> None:
    findings = Findings(1)
    findings.add_many("cut", "a.tsv", [Finding("a.tsv", 7, "900 pieces, truncated to 512")], count=9)
    findings.refuse(DataError("a.tsv", 3, "no tab; write label<TAB>text"))
    findings.notes.append("some were not compared")
    files = [make_file("a.tsv", "train", {"x": 6, "배송": 4}, 200), make_file("b.tsv", None, {"x": 2}, 100)]
    assert format_report(Report(files, findings, "pieces", 512)).splitlines() == [
        "file          texts  labels  empty  median  longest  over 512  cut      unknown",
        "a.tsv  train     10       2      1       3    1,000  10.00 %   10.00 %  2.50 %",
        "b.tsv             2       1      1       3    1,000  50.00 %   20.00 %  5.00 %",
        "lengths in pieces; 'over' is the share of texts longer than data.max_length=512, 'cut' the share of pieces "
        "that data.long_texts=cut does not read, 'unknown' the share of unknown pieces",
        "",
        "label  train  b.tsv",
        "x          6      2",
        "배송       4      0",
        "",
        "faults: train refuses these",
        "",
        "refused: no tab (1 in a.tsv):",
        "a.tsv:3: no tab; write label<TAB>text",
        "",
        "warnings",
        "",
        f"cut: {KINDS['cut']} (9 of 10 in a.tsv, the first 1):",
        "a.tsv:7: 900 pieces, truncated to 512",
        "",
        "some were not compared",
        "faults: 1, warnings: 9",
    ]


def test_without_a_tokenizer_the_cut_share_is_an_upper_bound() -> None:
    labels = {f"label{i:02}": 30 - i for i in range(25)}
    lines = format_report(Report([make_file("a.tsv", None, labels, None)], Findings(1), "characters", 512)).splitlines()
    assert lines[1].split("  ")[-2:] == ["< 5.00 %", "-"]
    assert lines[2].startswith("lengths in characters; ")
    assert "label19     11" in lines
    assert "and 5 labels more; --json has them all" in lines
    assert lines[-1] == "faults: 0, warnings: 0"


def test_equal_messages_share_a_line() -> None:
    findings = Findings(9)
    for number in (2, 3, 7):
        findings.refuse(DataError("a.tsv", number, "not UTF-8; convert the file"))
    findings.add_many(
        "cut", "a.tsv", [Finding("a.tsv", 4, "x"), Finding("a.tsv", 5, "y"), Finding("a.tsv", 9, "x")], count=3
    )
    findings.add_many("label-missing", "a.tsv", [Finding("a.tsv", None, "z"), Finding("a.tsv", None, "z")], count=2)
    lines = format_report(Report([make_file("a.tsv", None, {"x": 5}, None)], findings, "characters", 512)).splitlines()
    assert [line for line in lines if line.startswith("a.tsv:")] == [
        "a.tsv:2: not UTF-8; convert the file (also lines 3, 7)",
        "a.tsv: z",
        "a.tsv:4: x (also line 9)",
        "a.tsv:5: y",
    ]


def test_rows_are_called_rows() -> None:
    findings = Findings(9)
    for number in (2, 3, 7):
        findings.refuse(DataError("a.parquet", number, "bad; mend it"))
    lines = format_report(Report([make_file("a.parquet", None, {"x": 5}, None)], findings, "characters", 512))
    assert "a.parquet: row 2: bad; mend it (also rows 3, 7)" in lines
