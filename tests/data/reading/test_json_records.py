"""Records of JSON arrays, and of objects that span lines."""

from __future__ import annotations

import pytest

from textrnn.data.reading.fields import FaultError
from textrnn.data.reading.json_records import read_json
from textrnn.errors import DataError


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
