"""Names of columns and files."""

from __future__ import annotations

from textrnn.data.reading.layout import find_suffix, is_number


def test_numbers_and_suffixes() -> None:
    assert [text for text in ("1", "02", "0", "", "-1", "1.0", "9" * 10, "²") if is_number(text)] == ["1", "02"]
    assert [find_suffix(name) for name in ("a.CSV", "b/c.tsv.GZ", "d.gz", "e", "x.json.zip")] == [
        ".csv",
        ".tsv",
        "",
        "",
        ".zip",
    ]
