"""Detection of formats."""

from __future__ import annotations

import pytest

from row_texts import BOM, fault_of, open_rows, read_pairs


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("d.tsv", "a\tone_label b\n", "tsv"),
        ("d.TSV", "{\tone\n", "tsv"),
        ("d.more.tsv.gz", "[\tone\n", "tsv"),
        ("d.csv", "label,text\na,one\n", "csv"),
        ("d.Csv.zst", "{,label,text\n1,a,one\n", "csv"),
        ("d.csv", "label\ttext\na\tone\n", "tsv"),
        ("d.tsv", "label;text\na;one\n", "csv"),
        ("d.jsonl", '{"label": "a", "text": "__label__b one"}\n', "jsonl"),
        ("d.ndjson.xz", '{"label": "a", "text": "one"}\n', "jsonl"),
        ("d.JSON.bz2", '[{"label": "a", "text": "one"}]\n', "jsonl"),
        # the first line beats the extension
        ("d.tsv", "__label__a one\n", "fasttext"),
        ("d.csv", "one, two __label__a\n", "fasttext"),
        ("d.csv", '{"label": "a", "text": "one"}\n', "jsonl"),
        ("d.tsv", '[{"label": "a", "text": "one"}]\n', "jsonl"),
        ("d.json", "__label__a one\n", "fasttext"),
        # no extension that tells
        ("d.txt", "a\tone\n", "tsv"),
        ("csv", "a\tone\n", "tsv"),
        ("d.txt", "id, label , text,label,text\n1,2,3,a,one\n", "csv"),
        ("d.txt", "id|LABEL|Text\n1|a|one\n", "csv"),
        ("d.dat", ' {"label": "a",\t"text": "one"}\n', "jsonl"),
        ("d.dat", '{\n"label": "a", "text": "one"}\n', "jsonl"),
        ("-", " __label__a and\tone\n", "fasttext"),
        ("d.txt", "a\tnot__label__b one\n", "tsv"),
    ],
)
@pytest.mark.parametrize("start", [b"", BOM, b"\n \r\n"])
def test_the_format_is_detected(name: str, content: str, kind: str, start: bytes) -> None:
    reader = open_rows(start + content.encode(), name)
    assert reader.layout.format == kind
    (row,) = next(iter(reader))
    assert row.labels in (["a"], ["{"], ["["])


def test_data_format_takes_precedence() -> None:
    assert read_pairs("{\tlabel,text\n", "d.jsonl", format="tsv") == [("{", "label,text", 1)]
    assert read_pairs("__label__a\tone\n", "d.txt", format="tsv") == [("__label__a", "one", 1)]
    assert fault_of("a\tone\n", "d.json").startswith("d.json:1: not JSON")
