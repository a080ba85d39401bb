"""Rows of Arrow as lines of JSON."""

from __future__ import annotations

import datetime
import decimal
import json
from typing import Any

import pyarrow as pa
import pytest

from textrnn.data.arrow.json_lines import JsonLines, ParsedLines, format_batch, split_lines
from textrnn.data.reading.records.fields import JSON
from textrnn.errors import DataError

INVALID = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"a"]).buffers())


def make_batch(column: Any) -> Any:
    return pa.RecordBatch.from_arrays([column], names=["a%s"])


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array(['"x"\n\\\u2028 한', None]), ['"x"\n\\\u2028 한', None]),
        (pa.array(["x", None], pa.large_string()), ["x", None]),
        (pa.array(["x", None], pa.string_view()), ["x", None]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["x", "y"]), ["x", "x", "y"]),
        (pa.array(["한".encode(), b"\xff", None]), ["한", "/w==", None]),
        (pa.array([1, -2, None], pa.int8()), [1, -2, None]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        (
            pa.array([1.0, 0.1, 1e20, float("nan"), float("inf"), None], pa.float32()),
            [1.0, 0.1, 1e20, None, None, None],
        ),
        (pa.array([0.1], pa.float64()), [0.1]),
        (pa.array([True, False, None]), [True, False, None]),
        (pa.array([decimal.Decimal("1.50")]), [1.5]),
        (pa.array([datetime.date(2024, 1, 2)]), ["2024-01-02"]),
        (pa.array([datetime.timedelta(seconds=1)]), ["0:00:01"]),
        (pa.array([["x", None], [], None]), [["x", None], [], None]),
        (pa.array([{"n": 1, "b": b"\xff"}]), [{"n": 1, "b": "/w=="}]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_values_are_json_and_what_a_parser_makes_of_it(column: Any, values: list[Any]) -> None:
    lines = split_lines(format_batch(make_batch(column), path="a", row=1))
    assert isinstance(lines, ParsedLines)
    assert [json.loads(line) for line in lines] == [{"a%s": value} for value in values]
    assert lines.records == [JSON.decode(line.decode()) for line in lines]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array([1500], pa.duration("ns")), ["0:00:00.000001"]),
        (pa.array([[1500, None]], pa.list_(pa.duration("ns"))), [["0:00:00.000001", None]]),
        (pa.array([[1]], pa.large_list(pa.timestamp("ns"))), [["1970-01-01 00:00:00.000000001"]]),
        (pa.array([[1]], pa.list_(pa.timestamp("ns"), 1)), [["1970-01-01 00:00:00.000000001"]]),
        (pa.array([{"t": 1}], pa.struct([("t", pa.timestamp("ns"))])), [{"t": "1970-01-01 00:00:00.000000001"}]),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.date32())), [[["k", "1970-01-02"]]]),
        (pa.array([[10**8]], pa.list_(pa.date32())), [["<value out of range: 100000000>"]]),
        (pa.array([[float("nan"), 1.0]]), [[None, 1.0]]),
        (pa.array([{"a": [float("-inf")]}, None]), [{"a": [None]}, None]),
    ],
)
def test_nested_values_that_json_or_python_lacks(column: Any, values: list[Any]) -> None:
    lines = split_lines(format_batch(make_batch(column), path="a", row=1))
    assert [json.loads(line) for line in lines] == [{"a%s": value} for value in values]


@pytest.mark.parametrize(
    ("column", "row"),
    [
        (pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), 8),
        (pa.ListArray.from_arrays([0, 0, 2], INVALID), 9),
        (pa.array([1], pa.timestamp("s", "Nowhere/X")), 8),
        (pa.array([0, 2**62], pa.duration("s")), 9),
    ],
)
def test_other_values_are_reported_with_their_row(column: Any, row: int) -> None:
    with pytest.raises(DataError, match=rf"^-?x: row {row}: column 'a%s' \(.*\) cannot be read as text \(.*\); write"):
        format_batch(make_batch(column), path="x", row=8)


def test_invalid_bytes_of_texts_are_kept() -> None:
    for column, texts in ((INVALID, ()), (INVALID.cast(pa.binary()), ("a%s",))):
        lines = format_batch(make_batch(column), texts, path="a", row=1)
        assert not isinstance(lines, JsonLines)
        assert lines == b'{"a%s": "\xff\xfe"}\n{"a%s": "a"}\n'
