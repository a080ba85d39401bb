"""One input file in, one part out."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from textrnn.errors import DataError
from textrnn.integrations.arrow_labeler import ArrowLabeler
from textrnn.integrations.part_files import check_file, label_file, name_part

TEXTS = ["green tea", "black coffee", "주문한 책이 아직 안 왔어요"]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a.parquet", "a.parquet"),
        ("a/b.jsonl.gz", "a/b.jsonl.gz"),
        ("a.csv.zst", "a.jsonl.zst"),
        ("a.b.txt", "a.b.jsonl"),
        ("part-00001", "part-00001.jsonl"),
        ("v1.5", "v1.5.jsonl"),
    ],
)
def test_a_part_has_the_name_of_its_input(name: str, part: str) -> None:
    assert name_part(name, as_json=False) == part
    assert name_part("a.parquet", as_json=True) == "a.jsonl"


def label(labeler: ArrowLabeler, source: Path, target: Path) -> list[dict[str, object]]:
    counts = label_file(labeler, str(source), str(target))
    if target.suffix == ".parquet":
        rows = parquet.read_table(target).to_pylist()
    else:
        content = target.read_bytes()
        content = gzip.decompress(content) if target.suffix == ".gz" else content
        rows = list(map(json.loads, content.split(b"\n")[:-1]))
    assert counts.rows_in == counts.rows_out == len(rows) == counts.labels.total()
    return rows


def test_parquet_keeps_its_columns_and_types(labeler: ArrowLabeler, tmp_path: Path) -> None:
    table = pa.table(
        {"day": [date(2026, 1, n) for n in (1, 2, 3)], "text": TEXTS, "n": pa.array([1, None, 3], pa.int8())}
    )
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    label(labeler, tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert parquet.read_table(tmp_path / "b.parquet") == labeler(table)
    rows = label(labeler, tmp_path / "a.parquet", tmp_path / "b.jsonl")
    assert rows[0] | {"label": 0, "probability": 0} == {
        **{"day": "2026-01-01", "text": TEXTS[0], "n": 1},
        **{"label": 0, "probability": 0},
    }


def test_row_groups_are_large_and_bounded(labeler: ArrowLabeler, tmp_path: Path) -> None:
    table = pa.table({"text": TEXTS * 400, "more": [b"x" * 40_000] * 1200})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    assert len(label(labeler, tmp_path / "a.parquet", tmp_path / "b.parquet")) == 1200
    metadata = parquet.read_metadata(tmp_path / "b.parquet")
    assert metadata.num_row_groups == 2  # of 32 MB and of the rest
    assert parquet.read_table(tmp_path / "b.parquet") == labeler(table)


def test_objects_keep_their_values(labeler: ArrowLabeler, tmp_path: Path) -> None:
    records = [{"id": i, "text": text, "meta": {"a": i} if i else [0.1, None]} for i, text in enumerate(TEXTS)]
    records.append({"text": "lone \ud800", "label": "x"})
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(record) + "\r\n" for record in records)
    rows = label(labeler, tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz")
    assert [{key: row[key] for key in record} for row, record in zip(rows, records, strict=True)] == records
    assert rows[3]["predicted_label"] in labeler.labeler.engine.labels


def test_csv_and_lines_become_objects(labeler: ArrowLabeler, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text\n01,"green\ntea"\n2,coffee\n')
    (tmp_path / "a.txt").write_bytes(b"green tea\n\n\xff\n")
    assert [(row["id"], row["text"]) for row in label(labeler, tmp_path / "a.csv", tmp_path / "b.jsonl")] == [
        ("01", "green\ntea"),
        ("2", "coffee"),
    ]
    rows = label(labeler, tmp_path / "a.txt", tmp_path / "c.jsonl")
    assert [row["text"] for row in rows] == ["green tea", "", "\ufffd"]


def test_an_empty_file_gives_an_empty_part(labeler: ArrowLabeler, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "a.csv").touch()
    parquet.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert label(labeler, tmp_path / name, tmp_path / "out" / name_part(name, as_json=False)) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"text": 1}\n', ":2: not a text but int in 'text'"),
        ("a.jsonl", b'{"text": "a"}\n{"text"\n', ":2: not JSON"),
        ("a.jsonl", b'{"text": "a"}\n[]\n', ":2: not a JSON object"),
        ("a.jsonl", b'{"text": "a"}\n{"words": "b"}\n', ":2: no key 'text'; the keys are words"),
        ("a.csv", b"text,b\n1,2\n3\n", ":3: should have 2 fields"),
        ("a.txt.gz", gzip.compress(b"green tea\n" * 9999)[:-20], ": is damaged or cut"),
        ("a.txt.zst", b"nonsense", ": is damaged or cut"),
    ],
)
def test_a_bad_file_is_named_and_leaves_no_part(
    labeler: ArrowLabeler, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        label_file(labeler, str(tmp_path / name), str(tmp_path / "out" / "b.jsonl"))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"PAR1", "is damaged or cut"),
        ("a.csv", b"a,b\n1,2\n", "no column 'text'; the columns are a, b"),
        ("a.jsonl", b'{"a": 1}\n', "no key 'text'; the keys are a"),
    ],
)
def test_the_first_row_is_checked_before_the_start(
    labeler: ArrowLabeler, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        check_file(labeler, str(tmp_path / name))


def test_a_value_without_json_needs_parquet(labeler: ArrowLabeler, tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": ["a"], "image": [b"\0"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="write Parquet"):
        label_file(labeler, str(tmp_path / "a.parquet"), str(tmp_path / "b.jsonl"))


def test_scores_are_written_and_not_counted(scored: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("green tea\nblack coffee\n", encoding="utf-8")
    counts = label_file(ArrowLabeler.load(scored / "runs/small"), str(tmp_path / "a.txt"), str(tmp_path / "b.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [sorted(row) for row in rows] == [["score", "text"]] * 2
    assert (counts.rows_in, counts.rows_out, counts.labels.total()) == (2, 2, 0)
