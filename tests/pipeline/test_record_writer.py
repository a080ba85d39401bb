"""Predictions in front of records: quotes, delimiters, names in use, and records that are read as empty."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from constant_engine import FOUND, make_engine, run_worker
from textrnn.errors import ConfigError
from textrnn.inference.engine import Engine, Prediction
from textrnn.pipeline.labeler import Labeler
from textrnn.pipeline.records import Record


def test_a_csv_table_stays_valid(engine: Engine, tmp_path: Path) -> None:
    rows = [["id", "text"], ["1", 'two\nlines, and "quotes"'], ["2", "plain"]]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    got = list(
        csv.reader(io.StringIO(run_worker(Labeler(engine), [tmp_path / "a.csv"], field="text").decode(), newline=""))
    )
    assert got[0] == ["label", "probability", "id", "text"]
    assert [row[2:] for row in got] == rows
    assert got[1][0] == engine.predict(['two lines, and "quotes"'])[0][0].label


@pytest.mark.parametrize("delimiter", ["\t", ";", "|", ","])
def test_fields_are_quoted_as_the_table_is(tmp_path: Path, delimiter: str) -> None:
    rows = [["id", "text"], ["1", f'a "b"{delimiter} c'], ["2", "plain"]]
    for name, quoting in (("first.csv", csv.QUOTE_ALL), ("some.csv", csv.QUOTE_MINIMAL)):
        path = tmp_path / name
        with path.open("w", newline="") as file:
            csv.writer(file, delimiter=delimiter, quoting=quoting).writerows(rows)
        found = [Prediction(f'say "x"{delimiter} y' if delimiter != "\t" else 'say "x"', 0.5)]
        output = run_worker(Labeler(make_engine(found)), [path], field="text")
        got = list(csv.reader(io.StringIO(output.decode(), newline=""), delimiter=delimiter, strict=True))
        assert got[0] == ["label", "probability", "id", "text"]
        assert [row[0] for row in got[1:]] == [found[0].label] * 2
        assert [row[2:] for row in got] == rows
        path.write_bytes(output)
        again = list(
            csv.reader(
                io.StringIO(run_worker(Labeler(make_engine(FOUND)), [path], field="text").decode(), newline=""),
                delimiter=delimiter,
            )
        )
        assert [row[2:] for row in again] == got


def test_a_table_without_quotes_cannot_hold_its_delimiter() -> None:
    record = Record(b"1;x", "x", "csv", ";")
    assert Labeler(make_engine(FOUND))([record], 1).data == b"refund;0.750000;1;x\n"
    with pytest.raises(ConfigError, match=r"^'a;b' contains the delimiter ';'.*data\.quoting=true$"):
        Labeler(make_engine([Prediction("a;b", 0.5)]))([record], 1)


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (("text", "labels"), ""),
        (("text", "label"), "predicted_"),
        (("text", "top"), "predicted_"),
        (("label", "predicted_probability"), "predicted_predicted_"),
        (("label_2",), "predicted_"),
    ],
)
def test_names_in_use_get_a_prefix(names: tuple[str, ...], prefix: str) -> None:
    header = Record(b"names", None, "csv", ",", is_quoted=True, names=names)
    columns = ",".join(prefix + name for name in ("label", "probability", "label_2", "probability_2"))
    assert Labeler(make_engine(FOUND), top_k=2)([header], 1).data.decode() == f"{columns},names\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"label": 1}', {"predicted_label": "refund", "label": 1}),
        ('{"text": null}', {"label": "refund", "text": None}),
        ("{}", {"label": "refund"}),
        ("[1]", {"label": "refund", "record": "[1]"}),
        ('{"text": "', {"label": "refund", "record": '{"text": "'}),
        ('"한"', {"label": "refund", "record": '"한"'}),
    ],
)
def test_objects_read_as_empty_stay_objects_with_distinct_keys(
    tmp_path: Path, line: str, expected: dict[str, Any]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n' + line + "\n", encoding="utf-8")
    output = run_worker(Labeler(make_engine(FOUND), output="label"), [path], field="text").decode().splitlines()
    assert json.loads(output[1], object_pairs_hook=list) == list(expected.items())
