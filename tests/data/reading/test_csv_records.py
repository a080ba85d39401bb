"""Records of CSV, as they arrive in chunks of lines."""

from __future__ import annotations

from collections.abc import Sequence

from textrnn.data.reading.csv_records import read_csv
from textrnn.data.reading.fields import FaultError


def read(*chunks: tuple[Sequence[bytes], int]) -> list[object]:
    """Return the number, the bytes and the fields of each record; of a fault its reason; and None for each wait."""
    return [
        record and (*record[:2], record[2].reason if isinstance(record[2], FaultError) else record[2])
        for record in read_csv(iter(chunks), ",")
    ]


def test_a_wait_follows_the_last_record_that_a_chunk_completes() -> None:
    assert read(([b"a,b\r", b'c,"d'], 5), ([b'e"', b"f,g"], 7), ([b""], 9)) == [
        (5, b"a,b\r", ["a", "b"]),
        (6, b'c,"d\ne"', ["c", "d\ne"]),
        (8, b"f,g", ["f", "g"]),
        None,
        (9, b"", [""]),
        None,
    ]


def test_an_open_quote_costs_one_line() -> None:
    fault, *others = read(([b'a,"b', b"\xef\xbb\xbfc,d"], 1), ([b"e,\0"], 3))
    assert isinstance(fault, tuple)
    assert fault[:2] == (1, b'a,"b')
    assert "(the row ends in line 3)" in fault[2]
    assert others == [(2, b"c,d", ["c", "d"]), None, (3, b"e,\0", ["e", "\0"]), None]
