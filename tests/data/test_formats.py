"""Labelled text: each format, its detection, and the line of each fault."""

from __future__ import annotations

import gzip
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from textrnn.config import DataConfig, DataFormat
from textrnn.data.formats import Example, read_examples
from textrnn.data.labels import split_labels
from textrnn.errors import DataError

BOM = b"\xef\xbb\xbf"
UNKNOWN = "unknown format; write label<TAB>text, or set the format with --set data.format=tsv|csv|jsonl|fasttext"
UTF16 = "UTF-16 text; convert the file with iconv -f UTF-16 -t UTF-8"
NAME_THEM = "name label and text with --set data.label=NAME --set data.text=NAME"
SEVERAL = "several labels; keep one per line, or use --set data.multi_label=true"
NOT_AN_OBJECT = 'not a JSON object; write one per line, such as {"label": "a", "text": "b"}'


def read(folder: Path, content: str | bytes, name: str = "d.txt", **options: object) -> list[tuple[str, str, int]]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    examples = read_examples(str(path), DataConfig.model_validate(options))
    return [(example.label, example.text, example.line_number) for example in examples]


def fault_of(folder: Path, content: str | bytes, name: str = "d.txt", **options: object) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, content, name, **options)
    assert caught.value.path == str(folder / name)
    message = str(caught.value)
    assert message.startswith(f"{folder}/")
    return message.removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("kind", "content", "examples"),
    [
        ("tsv", "a\tone\nb\ttwo\n", [("a", "one", 1), ("b", "two", 2)]),
        ("tsv", "a\tone\tand\tmore\n", [("a", "one\tand\tmore", 1)]),
        ("tsv", "a\t\n", [("a", "", 1)]),
        ("tsv", "\n  \na\tone\r\n\t\nb\ttwo", [("a", "one", 3), ("b", "two", 5)]),
        ("tsv", 'a\t"quoted, one"\n', [("a", '"quoted, one"', 1)]),
        ("tsv", "two words\t x \n", [("two words", " x ", 1)]),
        ("tsv", "a\tx\u2028y\rz\x00\n", [("a", "x\u2028y\rz\x00", 1)]),
        ("csv", "label,text\na,one\nb,two\n", [("a", "one", 2), ("b", "two", 3)]),
        ("csv", "id,text,label,x\n1,one,a,\n2,two,b,y\n", [("a", "one", 2), ("b", "two", 3)]),
        ("csv", 'label,text\r\na,"one, ""two"""\r\n', [("a", 'one, "two"', 2)]),
        ("csv", "label,text\n\na,one\n\n\nb,two\n\n", [("a", "one", 3), ("b", "two", 6)]),
        ("csv", "\nlabel,text\na,one\n", [("a", "one", 3)]),
        ("csv", "label,text\n  \na,one\n", [("a", "one", 3)]),
        ("csv", '"label","text"\n"a","one"', [("a", "one", 2)]),
        ("csv", "label,text\na,\n", [("a", "", 2)]),
        (
            "csv",
            'label,text\na,"one\r\ntwo\nthree\rfour"\nb,five\n',
            [("a", "one two three four", 2), ("b", "five", 5)],
        ),
        ("csv", 'label,text\na,"\n\nx"\n"b","y\n"\nc,z\n', [("a", "  x", 2), ("b", "y ", 5), ("c", "z", 7)]),
        ("csv", f"label,text\na,{'x' * 200_000}\n", [("a", "x" * 200_000, 2)]),
        ("jsonl", '{"label": "a", "text": "one"}\n{"text": "two", "label": "b"}\n', [("a", "one", 1), ("b", "two", 2)]),
        (
            "jsonl",
            '\n{"label": "a", "text": "one"}\n \n{"label": "b", "text": "two"}',
            [("a", "one", 2), ("b", "two", 4)],
        ),
        ("jsonl", '{"label": 1, "text": 23, "more": [1.5, null]}\n', [("1", "23", 1)]),
        ("jsonl", '{"label": "a", "text": "x\\ny\\r\\nz\\rw\\ttab"}\n', [("a", "x y z w\ttab", 1)]),
        ("jsonl", '{"label": "a", "text": ""}\n', [("a", "", 1)]),
        ("jsonl", '{"label": "\\uac00", "text": "\\ud83d\\ude00é"}\n', [("가", "😀é", 1)]),
        ("fasttext", "__label__a one\n__label__b two three\n", [("a", "one", 1), ("b", "two three", 2)]),
        ("fasttext", "\n__label__a one __label__x\n\n__label__b\n", [("a", "one __label__x", 2), ("b", "", 4)]),
        ("fasttext", "__label__a-b,c  padded\n", [("a-b,c", " padded", 1)]),
    ],
)
def test_each_format(tmp_path: Path, kind: DataFormat, content: str, examples: list[tuple[str, str, int]]) -> None:
    assert read(tmp_path, content, format=kind) == examples
    assert read(tmp_path, BOM + content.encode(), format=kind) == examples


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.tsv", "a\t__label__b one\n"),
        ("d.TSV", "a\t__label__b one\n"),
        ("d.more.tsv", "a\t__label__b one\n"),
        ("d.csv", "label,text\na,__label__b one\n"),
        ("d.jsonl", '{"label": "a", "text": "__label__b one"}\n'),
        ("d.ndjson", '{"label": "a", "text": "__label__b one"}\n'),
        ("d.json", '{"label": "a", "text": "__label__b one"}\n'),
        # detected from the first line
        ("d.txt", "a\t__label__b one\n"),
        ("d", "a\t__label__b one\n"),
        ("csv", "a\t__label__b one\n"),
        ("d.txt", "label,text\na,__label__b one\n"),
        ("d.txt", "id, label , text,label,text\n1,2,3,a,__label__b one\n"),
        ("d.dat", '{"label": "a", "text": "__label__b one"}\n'),
        ("d.dat", ' {"label": "a",\t"text": "__label__b one"}\n'),
        ("d.txt", "__label__a and\t__label__b one\n"),
    ],
)
@pytest.mark.parametrize("mark", [b"", BOM])
@pytest.mark.parametrize("compress", [None, gzip.compress])
def test_the_format_is_detected(
    tmp_path: Path, name: str, content: str, mark: bytes, compress: Callable[[bytes], bytes] | None
) -> None:
    data = mark + content.encode()
    expected = "and\t__label__b one" if content.startswith("__label__") else "__label__b one"
    if compress is not None:
        data, name = compress(data), f"{name}.gz"
    assert [row[:2] for row in read(tmp_path, data, name)] == [("a", expected)]


@pytest.mark.parametrize(
    ("extension", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress), (".zst", zstandard.compress)]
)
def test_the_extension_of_a_compression_is_ignored(
    tmp_path: Path, extension: str, compress: Callable[[bytes], bytes]
) -> None:
    data = compress(b"__label__x\tone\n{\ttwo\n")
    assert read(tmp_path, data, f"d.tsv{extension}") == [("__label__x", "one", 1), ("{", "two", 2)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.tsv", "__label__x\tone\n"),
        ("d.TSV", "__label__x\tone\n"),
        ("d.csv", "__label__,label,text\n1,__label__x,one\n"),
        ("d.Csv", "{,label,text\n1,__label__x,one\n"),
    ],
)
def test_the_extension_takes_precedence_over_the_first_line(tmp_path: Path, name: str, content: str) -> None:
    assert [row[:2] for row in read(tmp_path, content, name)] == [("__label__x", "one")]


@pytest.mark.parametrize("name", ["d.jsonl", "d.ndjson", "d.json", "d.JSON"])
def test_text_in_a_json_file_is_a_fault(tmp_path: Path, name: str) -> None:
    assert fault_of(tmp_path, "a\tone\n", name) == f"{name}:1: not JSON: Expecting value"


def test_data_format_takes_precedence_over_the_extension(tmp_path: Path) -> None:
    assert read(tmp_path, "{\tlabel,text\n", "d.jsonl", format="tsv") == [("{", "label,text", 1)]


@pytest.mark.parametrize(
    ("first", "examples"),
    [
        ("label\ttext", [("a", "one", 2)]),
        ("Label\ttext", [("Label", "text", 1), ("a", "one", 2)]),
        ("label\ttext\tmore", [("label", "text\tmore", 1), ("a", "one", 2)]),
    ],
)
def test_a_tsv_header_is_skipped(tmp_path: Path, first: str, examples: list[tuple[str, str, int]]) -> None:
    assert read(tmp_path, f"{first}\na\tone\n") == examples


def test_only_the_first_line_of_tsv_can_be_a_header(tmp_path: Path) -> None:
    content = "intent\tutterance\nlabel\ttext\nintent\tutterance\n"
    expected = [("label", "text", 2), ("intent", "utterance", 3)]
    assert read(tmp_path, content, label="intent", text="utterance") == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", "text,who,intent\nx,one,a\n"),
        ("d.txt", "text,who,intent\nx,one,a\n"),
        ("d.jsonl", '{"text": "x", "who": "one", "intent": "a"}\n'),
    ],
)
def test_columns_can_be_named(tmp_path: Path, name: str, content: str) -> None:
    assert [row[:2] for row in read(tmp_path, content, name, label="intent", text="who")] == [("a", "one")]


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        # nothing to read
        ("d.tsv", "", "d.tsv: is empty; it needs labelled text"),
        ("d.tsv", BOM, "d.tsv: is empty; it needs labelled text"),
        ("d.tsv", "\n \n", "d.tsv: contains no labelled text"),
        ("d.tsv", "label\ttext\n", "d.tsv: contains no labelled text"),
        ("d.csv", "label,text\n\n", "d.csv: contains no labelled text"),
        # unknown format
        ("d.txt", "one\na\ttwo\n", f"d.txt:1: {UNKNOWN}"),
        ("d.txt", "label;text\na;b\n", f"d.txt:1: {UNKNOWN}"),
        ("d.txt", "label,texts\na,b\n", f"d.txt:1: {UNKNOWN}"),
        ("d.txt", "[1]\n", f"d.txt:1: {UNKNOWN}"),
        ("d.tsv.bz2", "one\n", f"d.tsv.bz2:1: {UNKNOWN}"),
        ("d.tsv", "a\tone\n".encode("utf-16"), f"d.tsv:1: {UTF16}"),
        ("d.csv", b"\xfe\xff" + "label,text\na,b\n".encode("utf-16-be"), f"d.csv:1: {UTF16}"),
        # TSV
        ("d.tsv", "a\tone\n\nb two\n", "d.tsv:3: no tab; write label<TAB>text"),
        ("d.tsv", "a one\n", "d.tsv:1: no tab; write label<TAB>text"),
        ("d.tsv", "a\tone\n\ttwo\n", "d.tsv:2: the label is empty"),
        ("d.tsv", "a\tone\n \ttwo\n", "d.tsv:2: the label is empty"),
        ("d.tsv", "a\rb\tone\n", "d.tsv:1: the label contains a tab or a line end"),
        # CSV
        ("d.csv", "kind,text\na,b\n", f"d.csv:1: no column 'label' (the header has kind, text); {NAME_THEM}"),
        ("d.csv", "label;text\n", f"d.csv:1: no column 'label' (the header has label;text); {NAME_THEM}"),
        ("d.csv", "label,Text\na,b\n", f"d.csv:1: no column 'text' (the header has label, Text); {NAME_THEM}"),
        ("d.csv", "label,text\na,one\nb,two,three\n", "d.csv:3: 3 columns, but the header has 2"),
        ("d.csv", "id,label,text\n1,a,one\n\n2,b\n", "d.csv:4: 2 columns, but the header has 3"),
        ("d.csv", 'label,text\na,"one\n\ntwo"\nb,c,d\n', "d.csv:5: 3 columns, but the header has 2"),
        ("d.csv", 'label,text\na,"one\ntwo"\n"b\nb",c,"d\ne"\nf,g\n', "d.csv:4: 3 columns, but the header has 2"),
        ("d.csv", "label,text\na,one\n,two\n", "d.csv:3: the label is empty"),
        ("d.csv", 'label,text\na,"one\ntwo"\n" ",two\n', "d.csv:4: the label is empty"),
        ("d.csv", 'label,text\n"a\nb",one\n', "d.csv:2: the label contains a tab or a line end"),
        ("d.csv", 'label,text\n"a\tb",one\n', "d.csv:2: the label contains a tab or a line end"),
        ("d.csv", 'label,text\na,one\nb,"two"x\n', "d.csv:3: not CSV: ',' expected after '\"'"),
        ("d.csv", 'label,text\na,"one\nb,two\n', "d.csv:2: not CSV: unexpected end of data (the row ends in line 3)"),
        # JSON Lines
        ("d.jsonl", '{"label": "a", "text": "b"}\n{"label": "a"\n', "d.jsonl:2: not JSON: Expecting ',' delimiter"),
        ("d.jsonl", '\n{"label": "a", "text": b}\n', "d.jsonl:2: not JSON: Expecting value"),
        ("d.jsonl", '{"label": "a", "text": "b"} {}\n', "d.jsonl:1: not JSON: Extra data"),
        ("d.jsonl", '{"label": "a", "text": "b\x01"}\n', "d.jsonl:1: not JSON: Invalid control character at"),
        ("d.jsonl", '{"label": "a", "text": ' + "[" * 100_000 + "\n", "d.jsonl:1: not JSON: nested too deeply"),
        ("d.json", '[{"label": "a", "text": "b"}]\n', f"d.json:1: {NOT_AN_OBJECT}"),
        ("d.json", '[\n  {"label": "a", "text": "b"}\n]\n', "d.json:1: not JSON: Expecting value"),
        ("d.jsonl", '{"label": "a", "text": "b"}\n"c"\n', f"d.jsonl:2: {NOT_AN_OBJECT}"),
        (
            "d.jsonl",
            '{"label": "a", "text": "b"}\n{"kind": "a", "text": "b"}\n',
            f"d.jsonl:2: no key 'label' (the keys are kind, text); {NAME_THEM}",
        ),
        ("d.jsonl", "{}\n", f"d.jsonl:1: no key 'label' (the keys are none); {NAME_THEM}"),
        ("d.jsonl", '{"label": "a"}\n', f"d.jsonl:1: no key 'text' (the keys are label); {NAME_THEM}"),
        ("d.jsonl", '{"label": null, "text": "b"}\n', "d.jsonl:1: 'label' is not a string or an integer"),
        ("d.jsonl", '{"label": true, "text": "b"}\n', "d.jsonl:1: 'label' is not a string or an integer"),
        ("d.jsonl", '{"label": 1.5, "text": "b"}\n', "d.jsonl:1: 'label' is not a string or an integer"),
        ("d.jsonl", '{"label": NaN, "text": "b"}\n', "d.jsonl:1: 'label' is not a string or an integer"),
        ("d.jsonl", '{"label": "a", "text": ["b"]}\n', "d.jsonl:1: 'text' is not a string or an integer"),
        ("d.jsonl", '{"label": "a", "text": "b"}\n{"label": "", "text": "b"}\n', "d.jsonl:2: the label is empty"),
        ("d.jsonl", '{"label": "a\\nb", "text": "b"}\n', "d.jsonl:1: the label contains a tab or a line end"),
        # fastText
        ("d.txt", "__label__a one\ntwo\n", "d.txt:2: no label; write __label__LABEL text"),
        ("d.txt", "__label__a one\n\n __label__b two\n", "d.txt:3: no label; write __label__LABEL text"),
        ("d.txt", "__label__a one\n__label__a __label__b two\n", f"d.txt:2: {SEVERAL}"),
        ("d.txt", "__label__a  __label__b two\n", f"d.txt:1: {SEVERAL}"),
        ("d.txt", "__label__ one\n", "d.txt:1: the label is empty"),
        ("d.txt", "__label__a\tone\n", "d.txt:1: the label contains a tab or a line end"),
    ],
)
def test_a_fault_has_its_line(tmp_path: Path, name: str, content: str | bytes, fault: str) -> None:
    assert fault_of(tmp_path, content, name) == fault


@pytest.mark.parametrize("key", ["label", "text", "more"])
def test_a_number_with_too_many_digits_is_a_fault(tmp_path: Path, key: str) -> None:
    row = '{"label": "a", "text": "b", "more": 1}\n'
    long = row.replace(f'"{key}": ', f'"{key}": {"7" * 5000}, "x": ')
    assert fault_of(tmp_path, row + long, "d.jsonl").startswith("d.jsonl:2: ")


@pytest.mark.parametrize(
    ("escaped", "text"),
    [("\\ud800", "?"), ("x\\udc00y", "x?y"), ("\\ude00\\ud83d", "??"), ("\\ud83d\\ude00\\ud83d", "😀?")],
)
def test_half_a_surrogate_pair_in_json_is_replaced(tmp_path: Path, escaped: str, text: str) -> None:
    content = f'{{"label": "{escaped}", "text": "{escaped}"}}\n'
    assert read(tmp_path, content, "d.jsonl") == [(text, text, 1)]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("d.tsv", b"a\tb\n\na\tx\xffy\n", 3),
        ("d.csv", b"label,text\na,x\xffy\n", 2),
        ("d.jsonl", b'{"label": "a", "text": "x\xff"}\n', 1),
        ("d.txt", b"__label__a x\n__label__\xb9 y\n", 2),
    ],
)
def test_bytes_that_are_not_utf8_are_a_fault(tmp_path: Path, name: str, content: bytes, line: int) -> None:
    with pytest.raises(DataError, match=rf"{name}:{line}: not UTF-8; convert the file"):
        read(tmp_path, content, name)


def test_standard_input_is_named_in_messages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read_stdin(content: bytes) -> list[Example]:
        path = tmp_path / "stdin"
        path.write_bytes(content)
        with path.open(encoding="utf-8") as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            return read_examples("-", DataConfig())

    assert read_stdin(b"a\tone\nb\ttwo") == [Example("a", "one", 1), Example("b", "two", 2)]
    with pytest.raises(DataError, match=r"^standard input:2: no tab; write label<TAB>text$"):
        read_stdin(b"a\tone\nb two")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"/none\.tsv: no such file$"):
        read_examples(str(tmp_path / "none.tsv"), DataConfig())


@pytest.mark.parametrize(
    ("kind", "separator", "content", "labels"),
    [
        ("tsv", "|", "a|b\tone\nb\ttwo\n\tthree\nb|a|c d\tfour\n", [["a", "b"], ["b"], [], ["b", "a", "c d"]]),
        ("tsv", None, "a|b\tone\n\ttwo\n", [["a|b"], []]),
        ("tsv", "; ", "a; b\tone\n", [["a", "b"]]),
        ("csv", "|", "text,label\none,a|b\ntwo,\n", [["a", "b"], []]),
        (
            "jsonl",
            "|",
            '{"label": ["a", "b|c"], "text": "x"}\n{"label": [], "text": "x"}\n{"label": "a|b", "text": "x"}\n'
            '{"label": "", "text": "x"}\n{"label": [7], "text": "x"}\n',
            [["a", "b|c"], [], ["a", "b"], [], ["7"]],
        ),
        (
            "fasttext",
            None,
            "__label__a __label__b one\n__label__b  __label__a  two __label__x\nnone\n __label__a\n",
            [["a", "b"], ["b", "a"], [], ["a"]],
        ),
    ],
)
def test_texts_with_several_labels(
    tmp_path: Path, kind: DataFormat, separator: str | None, content: str, labels: list[list[str]]
) -> None:
    rows = read(tmp_path, content, format=kind, multi_label=True, label_separator=separator)
    assert [split_labels(label) for label, _, _ in rows] == labels
    if kind == "fasttext":
        assert [text for _, text, _ in rows] == ["one", " two __label__x", "none", ""]


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("d.tsv", "a|b\tone\na||b\ttwo\n", "d.tsv:2: one of the labels is empty"),
        ("d.tsv", "a|\tone\n", "d.tsv:1: one of the labels is empty"),
        ("d.tsv", " \tone\n", "d.tsv:1: the label is empty"),
        ("d.tsv", "b|a|a\tone\n", "d.tsv:1: the label 'a' occurs twice"),
        ("d.tsv", "a|b\tone\ntwo\n", "d.tsv:2: no tab; write label<TAB>text"),
        ("d.csv", 'label,text\n"a\tb",one\n', "d.csv:2: the label contains a tab or a line end"),
        ("d.jsonl", '{"label": ["a", "b\\tc"], "text": ""}\n', "d.jsonl:1: the label contains a tab or a line end"),
        ("d.jsonl", '{"label": ["a", ""], "text": ""}\n', "d.jsonl:1: one of the labels is empty"),
        ("d.jsonl", '{"label": ["a", "a"], "text": ""}\n', "d.jsonl:1: the label 'a' occurs twice"),
        ("d.jsonl", '{"label": ["a", null], "text": ""}\n', "d.jsonl:1: 'label' is not a string or an integer"),
        ("d.jsonl", '{"label": null, "text": ""}\n', "d.jsonl:1: 'label' is not a string or an integer"),
        ("d.txt", "__label__a __label__ one\n", "d.txt:1: one of the labels is empty"),
        ("d.txt", "__label__a __label__a one\n", "d.txt:1: the label 'a' occurs twice"),
        ("d.txt", "__label__a\t__label__b one\n", "d.txt:1: the label contains a tab or a line end"),
    ],
)
def test_a_fault_of_several_labels_has_its_line(tmp_path: Path, name: str, content: str, fault: str) -> None:
    assert fault_of(tmp_path, content, name, multi_label=True, label_separator="|") == fault


def test_a_list_of_labels_needs_multi_label(tmp_path: Path) -> None:
    fault = fault_of(tmp_path, '{"label": ["a"], "text": "x"}\n', "d.jsonl")
    assert fault == "d.jsonl:1: 'label' is not a string or an integer"
