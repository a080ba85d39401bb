"""One pass extracts the rows and skips faulty ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from textrnn.config import DataConfig
from textrnn.data.check.findings import Findings
from textrnn.data.check.scan import Rows, Scan, scan


def read(path: Path, content: bytes, **options: object) -> tuple[Scan, Findings]:
    path.write_bytes(content)
    findings = Findings(10)
    return scan(str(path), DataConfig(), findings, **options), findings  # type: ignore[arg-type]


def test_rows_have_their_lines(tmp_path: Path) -> None:
    found, findings = read(tmp_path / "a.tsv", "b\tOne, two\n\na\t가나다\nno tab\nb\t \n".encode(), role="train")
    rows = found.rows
    assert (found.role, found.labels, found.counts, found.first_lines) == ("train", ["b", "a"], [2, 1], [1, 3])
    assert rows.lines.tolist() == [1, 3, 5]
    assert rows.characters.tolist() == [8, 3, 1]
    assert rows.empty.tolist() == [False, False, True]
    assert [found.read_letters(row) for row in (1, 0, 2)] == ["가나다", "onetwo", ""]
    assert [found.label_of(row) for row in range(3)] == ["b", "a", "b"]
    assert [finding.line for finding in findings.groups[0].shown] == [4]


def test_pieces_are_those_of_the_tokenizer_in_order(tmp_path: Path) -> None:
    def count(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        sizes = np.array([len(text) for text in texts])
        return sizes, sizes // 2

    content = b"".join(b"a\t%s\n" % (b"x" * (i % 900 + 1)) for i in range(9000))  # several blocks
    found, _ = read(tmp_path / "a.tsv", content + b"a\t\n", count_pieces=count)
    expected = [i % 900 + 1 for i in range(9000)]
    assert found.rows.pieces.tolist() == [*expected, 0]
    assert found.rows.unknown.tolist() == [*(size // 2 for size in expected), 0]
    assert found.rows.characters.tolist() == [*expected, 0]


def test_truncated_data_keeps_the_rows_before(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"a\ttext %d\n" % i for i in range(200_000)))
    found, findings = read(tmp_path / "a.tsv.gz", whole[: len(whole) // 2])
    assert 0 < len(found) < 200_000
    assert "damaged" in findings.groups[0].shown[0].message


def test_every_format_resumes_after_a_fault(tmp_path: Path) -> None:
    rows = [json.dumps({"label": "a", "text": text}) for text in ("x", "y")]
    for name, content, lines in (
        ("a.jsonl", f"{rows[0]}\n{{\n[1]\n{rows[1]}\n", [2, 3]),
        ("a.csv", 'label,text\na,x\na\nb,"q"r\na,"two\nlines"\n,y\n', [3, 4, 7]),
        ("a.txt", "__label__a x\nb y\n__label__a __label__b z\n__label__a w\n", [2, 3]),
    ):
        found, findings = read(tmp_path / name, content.encode())
        assert len(found) == 2
        assert sorted(f.line or 0 for group in findings.groups for f in group.shown) == lines


def test_each_label_of_a_set_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a|b\tx\nb\ty\n\tz\n")
    config = DataConfig(multi_label=True, label_separator="|")
    found = scan(str(tmp_path / "a.tsv"), config, Findings(1))
    assert (found.labels, found.counts, found.first_lines) == (["a", "b"], [1, 2], [1, 1])
    assert [found.label_of(row) for row in range(3)] == ["a, b", "b", ""]


def test_a_file_that_cannot_be_read_has_no_rows() -> None:
    findings = Findings(1)
    found = scan("/nowhere/a.tsv", DataConfig(), findings)
    assert len(Rows.join([found.rows, found.rows])) == 0
    assert findings.groups[0].shown[0].message.startswith("no such file")


def test_notes_and_swapped_columns_are_found(tmp_path: Path) -> None:
    rows = "".join(f"{'ab'[i % 2]};배송이 {i}번 늦어요\n" for i in range(30))
    found, findings = read(tmp_path / "a.csv", f"label;text\n{rows}".encode("cp949"))
    assert (len(found), len(findings.notes), findings.groups) == (30, 2, [])
    _, findings = read(tmp_path / "a.tsv", b"".join(b"text number %d\tpos\n" % i for i in range(30)))
    assert "look swapped" in findings.groups[0].shown[0].message


def test_faults_of_a_kind_form_one_group_whatever_their_values(tmp_path: Path) -> None:
    csv = "label,text\n" + "a,x,y\n" * 2 + "a,x,y,z\na,x,y,z,w\na\nb\n"
    _, findings = read(tmp_path / "a.csv", csv.encode())
    assert [(group.what, group.count) for group in findings.groups][:2] == [
        ("too many columns", 4),
        ("too few columns", 2),
    ]
    _, findings = read(tmp_path / "a.jsonl", b'{"label": "a", "text": "x"}\n{"a": }\n{"a" 1}\n{"label": 1\n')
    assert [(group.what, group.count) for group in findings.groups] == [("not JSON", 3)]
