"""The rows of Parquet and Arrow, read as labelled text is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from arrow_tables import FORMATS, write_table
from textrnn.config import DataConfig
from textrnn.data.reading.examples import read_examples
from textrnn.data.reading.io import open_data, read_chunks, read_data
from textrnn.data.reading.rows import RowReader
from textrnn.errors import ConfigError, DataError, TextrnnError


def read(path: Path, **keys: Any) -> list[tuple[str, str, int]]:
    found = read_examples(str(path), DataConfig(**keys))
    return [(example.label, example.text, example.line_number) for example in found]


@pytest.mark.parametrize("name", FORMATS)
def test_rows_are_examples(name: str, tmp_path: Path) -> None:
    labels = pa.array(["x", "y", "x"]).dictionary_encode()
    path = write_table(tmp_path / name, pa.table({"id": [1, 2, 3], "label": labels, "text": ["a\nb", "", "c"]}))
    assert read(path) == [("x", "a b", 1), ("y", "", 2), ("x", "c", 3)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([1, 0]), ["1", "0"]),
        (pa.array([1.0, 0.5]), ["1.0", "0.5"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([b"x", b"y"]), ["x", "y"]),
    ],
)
def test_labels_of_other_types(labels: Any, expected: list[str], tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.parquet", pa.table({"label": labels, "text": ["a", "b"]}))
    assert [label for label, _, _ in read(path)] == expected


def test_lists_are_several_labels(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.parquet", pa.table({"label": [["x", "y"], []], "text": ["a", "b"]}))
    assert [label for label, _, _ in read(path, multi_label=True)] == ["x\ty", ""]
    with pytest.raises(DataError, match=r"a.parquet: row 1: 'label' is a list; .*multi_label"):
        read(path)


def test_many_rows_have_their_numbers(tmp_path: Path) -> None:
    table = pa.table({"label": ["x"] * 5000, "text": [str(n) for n in range(4999)] + [None]})
    folder = tmp_path / "parts"
    folder.mkdir()
    for name in ("part-0.parquet", "part-1.parquet"):
        write_table(folder / name, table)
    with pytest.raises(DataError, match=r"parts: row 5000: 'text' is null"):
        read(folder)
    examples = read(folder, on_error="skip")
    assert [number for _, _, number in examples] == [*range(1, 5000), *range(5001, 10_000)]
    config = DataConfig(on_error="empty")
    rows = [
        row
        for rows in RowReader(str(folder), read_data(str(folder), config, labelled=False), config, labelled=False)
        for row in rows
    ]
    assert [row.text for row in rows[4998:5001]] == ["4998", "", "0"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"text": "body"}, "no column 'body'; the columns are label, text, vec, meta, bad; name yours with --set"),
        ({"label": "kind"}, "no column 'kind'"),
        ({"text": "vec"}, "column 'vec' holds list<element: double>, not texts; name another column"),
        ({"text": "meta"}, "column 'meta' holds struct<t: string>, not texts; name meta.t"),
        ({"delimiter": ","}, "data.delimiter: no effect on .*a.parquet, which is Parquet or Arrow; leave it out"),
        ({"format": "csv"}, "data.format: no effect"),
        ({"text": "bad"}, "row 1: bytes that are not UTF-8; write the column again"),
    ],
)
def test_faults(keys: dict[str, str], message: str, tmp_path: Path) -> None:
    columns = {"label": ["x"], "text": ["a"], "vec": [[0.5]], "meta": [{"t": "inside"}], "bad": pa.array([b"\xff"])}
    path = write_table(tmp_path / "a.parquet", pa.table(columns))
    with pytest.raises(TextrnnError, match=message):
        read(path, **keys)
    assert read(path, text="meta.t")[0][1] == "inside"


def test_an_empty_file_is_reported(tmp_path: Path) -> None:
    table = pa.table({"label": pa.array([], pa.string()), "text": pa.array([], pa.string())})
    with pytest.raises(DataError, match=r"a.parquet: is empty; it needs labelled text"):
        read(write_table(tmp_path / "a.parquet", table))


def test_only_the_needed_columns_are_read(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.parquet", pa.table({"label": ["x"], "text": ["a"], "wide": [b"\0" * 100]}))
    for options, names in (
        ({}, {"label", "text"}),
        ({"labelled": False}, {"text"}),
        ({"whole": True}, {"label", "text", "wide"}),
    ):
        with open_data(str(path), DataConfig(), **options) as (_, file):  # type: ignore[arg-type]
            (chunk,) = read_chunks(file.read)
        assert set(chunk.records[0]) == names  # type: ignore[attr-defined]


def test_without_pyarrow_the_message_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_table(tmp_path / "a.parquet", pa.table({"label": ["x"], "text": ["a"]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"a.parquet: needs the package pyarrow; pip install 'textrnn\[arrow\]'"):
        read(path)
