"""Records of CSV as they arrive in chunks of lines, and of JSON whose objects span or share lines."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from textrnn.data.reading.records.selection import FaultError
from textrnn.data.reading.records.spanning_records import read_csv, read_json
from textrnn.errors import DataError


def read_chunks(*chunks: tuple[Sequence[bytes], int]) -> list[object]:
    """Return the number, the bytes and the fields of each record; of a fault its reason; and None for each wait."""
    return [
        record and (*record[:2], record[2].reason if isinstance(record[2], FaultError) else record[2])
        for record in read_csv(iter(chunks), ",")
    ]


def test_a_wait_follows_the_last_record_that_a_chunk_completes() -> None:
    assert read_chunks(([b"a,b\r", b'c,"d'], 5), ([b'e"', b"f,g"], 7), ([b""], 9)) == [
        (5, b"a,b\r", ["a", "b"]),
        (6, b'c,"d\ne"', ["c", "d\ne"]),
        (8, b"f,g", ["f", "g"]),
        None,
        (9, b"", [""]),
        None,
    ]


def test_an_open_quote_costs_one_line() -> None:
    fault, *others = read_chunks(([b'a,"b', b"\xef\xbb\xbfc,d"], 1), ([b"e,\0"], 3))
    assert isinstance(fault, tuple)
    assert fault[:2] == (1, b'a,"b')
    assert "(the row ends in line 3)" in fault[2]
    assert others == [(2, b"c,d", ["c", "d"]), None, (3, b"e,\0", ["e", "\0"]), None]


def test_each_object_is_a_line_and_keeps_its_bytes() -> None:
    lines = [b'[{"a": 1.0,\r', b' "b": "\xff"},', b"", b'{"a": "x"}, 3]']
    *objects, fault = read_json("d.json", iter(lines), 7)
    assert objects == [
        (7, b'{"a": 1.0,  "b": "\xff"}', {"a": "1.0", "b": "\ufffd"}),
        (10, b'{"a": "x"}', {"a": "x"}),
    ]
    assert fault[:2] == (10, b"3")
    assert isinstance(fault[2], FaultError)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([b'[{"a": 1},', b'{"a": x}]'], "d.json:8: not JSON: .*the rest cannot be read"),
        ([b'[{"a": 1}'], "d.json: ends"),
    ],
)
def test_broken_json_is_an_error_after_the_earlier_objects(lines: list[bytes], reason: str) -> None:
    records = read_json("d.json", iter(lines), 7)
    assert next(records)[0] == 7
    with pytest.raises(DataError, match=reason):
        next(records)
