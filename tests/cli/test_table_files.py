"""Tables that commands write."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from textrnn.cli.table_files import find_format, format_table_file, write_table
from textrnn.errors import ConfigError

COLUMNS = ("line", "label", "confidence", "text")
ROW: list[object] = [7, None, 0.5, 'say "tea",\tplease\nnow']


def test_tsv_has_no_quotes() -> None:
    lines = [*format_table_file(COLUMNS, [ROW], output="tsv")]
    assert lines == ["line\tlabel\tconfidence\ttext\n", '7\t\t0.500000\tsay "tea", please now\n']


def test_csv_is_quoted() -> None:
    table = io.StringIO("".join(format_table_file(COLUMNS, [ROW], output="csv")), newline="")
    assert list(csv.reader(table)) == [[*COLUMNS], ["7", "", "0.500000", ROW[3]]]


def test_json_keeps_values() -> None:
    (line,) = format_table_file(COLUMNS, [ROW], output="jsonl")
    assert json.loads(line) == {"line": 7, "label": None, "confidence": 0.5, "text": ROW[3]}


def test_the_extension_is_the_format(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = tmp_path / "x.jsonl.gz"
    write_table(path, COLUMNS, [ROW], output=find_format(path, option="-o"))
    with gzip.open(path, "rt", encoding="utf-8") as file:
        assert json.load(file)["line"] == 7
    write_table(None, COLUMNS, [], output=find_format(None, option="-o"))
    assert capfdbinary.readouterr().out == b"line\tlabel\tconfidence\ttext\n"
    assert find_format(Path("-"), option="-o") == "tsv"
    with pytest.raises(ConfigError, match=r"^--errors x\.txt: unknown extension; use \.tsv, \.csv or \.jsonl$"):
        find_format(Path("x.txt"), option="--errors")
