"""Labelled text: each format, how it is told, and the line that each fault is laid at."""

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
UNTOLD = (
    "cannot tell the format from the extension or this line; "
    "write label<TAB>text, or say --set data.format=tsv|csv|jsonl|fasttext"
)


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
        # by the first line
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
def test_the_format_is_told(
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
def test_the_extension_before_that_of_the_compression_counts(
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
def test_the_extension_beats_the_first_line(tmp_path: Path, name: str, content: str) -> None:
    assert [row[:2] for row in read(tmp_path, content, name)] == [("__label__x", "one")]


@pytest.mark.parametrize("name", ["d.jsonl", "d.ndjson", "d.json", "d.JSON"])
def test_the_extension_makes_a_line_of_words_broken_json(tmp_path: Path, name: str) -> None:
    assert fault_of(tmp_path, "a\tone\n", name) == f"{name}:1: not JSON: Expecting value"


def test_a_format_that_is_given_beats_extension_and_line(tmp_path: Path) -> None:
    assert read(tmp_path, "{\tlabel,text\n", "d.jsonl", format="tsv") == [("{", "label,text", 1)]


@pytest.mark.parametrize(
    ("first", "examples"),
    [
        ("label\ttext", [("a", "one", 2)]),
        ("Label\ttext", [("Label", "text", 1), ("a", "one", 2)]),
        ("label\ttext\tmore", [("label", "text\tmore", 1), ("a", "one", 2)]),
    ],
)
def test_a_header_in_tsv_is_passed_over(tmp_path: Path, first: str, examples: list[tuple[str, str, int]]) -> None:
    assert read(tmp_path, f"{first}\na\tone\n") == examples


def test_only_the_first_line_of_tsv_is_a_header_and_by_the_names_given(tmp_path: Path) -> None:
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
def test_columns_are_named(tmp_path: Path, name: str, content: str) -> None:
    assert [row[:2] for row in read(tmp_path, content, name, label="intent", text="who")] == [("a", "one")]


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        # nothing to read
        ("d.tsv", "", "d.tsv: empty; it should hold labelled text"),
        ("d.tsv", BOM, "d.tsv: empty; it should hold labelled text"),
        ("d.tsv", "\n \n", "d.tsv: holds no labelled text"),
        ("d.tsv", "label\ttext\n", "d.tsv: holds no labelled text"),
        ("d.csv", "label,text\n\n", "d.csv: holds no labelled text"),
        # not a format
        ("d.txt", "one\na\ttwo\n", f"d.txt:1: {UNTOLD}"),
        ("d.txt", "label;text\na;b\n", f"d.txt:1: {UNTOLD}"),
        ("d.txt", "label,texts\na,b\n", f"d.txt:1: {UNTOLD}"),
        ("d.txt", "[1]\n", f"d.txt:1: {UNTOLD}"),
        ("d.tsv.bz2", "one\n", f"d.tsv.bz2:1: {UNTOLD}"),
        (
            "d.tsv",
            "a\tone\n".encode("utf-16"),
            "d.tsv:1: UTF-16 text; convert it first, as with iconv -f UTF-16 -t UTF-8",
        ),
        (
            "d.csv",
            b"\xfe\xff" + "label,text\na,b\n".encode("utf-16-be"),
            "d.csv:1: UTF-16 text; convert it first, as with iconv -f UTF-16 -t UTF-8",
        ),
        # TSV
        ("d.tsv", "a\tone\n\nb two\n", "d.tsv:3: no tab; write label<TAB>text"),
        ("d.tsv", "a one\n", "d.tsv:1: no tab; write label<TAB>text"),
        ("d.tsv", "a\tone\n\ttwo\n", "d.tsv:2: the label is empty"),
        ("d.tsv", "a\tone\n \ttwo\n", "d.tsv:2: the label is empty"),
        ("d.tsv", "a\rb\tone\n", "d.tsv:1: the label holds a tab or a line end"),
        # CSV
        (
            "d.csv",
            "kind,text\na,b\n",
            "d.csv:1: no column 'label' (the header has kind, text); name the "
            "columns with --set data.label=... --set data.text=...",
        ),
        (
            "d.csv",
            "label;text\n",
            "d.csv:1: no column 'label' (the header has label;text); name the "
            "columns with --set data.label=... --set data.text=...",
        ),
        (
            "d.csv",
            "label,Text\na,b\n",
            "d.csv:1: no column 'text' (the header has label, Text); name the "
            "columns with --set data.label=... --set data.text=...",
        ),
        ("d.csv", "label,text\na,one\nb,two,three\n", "d.csv:3: 3 columns where the header has 2"),
        ("d.csv", "id,label,text\n1,a,one\n\n2,b\n", "d.csv:4: 2 columns where the header has 3"),
        ("d.csv", 'label,text\na,"one\n\ntwo"\nb,c,d\n', "d.csv:5: 3 columns where the header has 2"),
        ("d.csv", 'label,text\na,"one\ntwo"\n"b\nb",c,"d\ne"\nf,g\n', "d.csv:4: 3 columns where the header has 2"),
        ("d.csv", "label,text\na,one\n,two\n", "d.csv:3: the label is empty"),
        ("d.csv", 'label,text\na,"one\ntwo"\n" ",two\n', "d.csv:4: the label is empty"),
        ("d.csv", 'label,text\n"a\nb",one\n', "d.csv:2: the label holds a tab or a line end"),
        ("d.csv", 'label,text\n"a\tb",one\n', "d.csv:2: the label holds a tab or a line end"),
        ("d.csv", 'label,text\na,one\nb,"two"x\n', "d.csv:3: not CSV: ',' expected after '\"'"),
        (
            "d.csv",
            'label,text\na,"one\nb,two\n',
            "d.csv:2: not CSV: unexpected end of data (the row goes on to line 3)",
        ),
        # JSON Lines
        ("d.jsonl", '{"label": "a", "text": "b"}\n{"label": "a"\n', "d.jsonl:2: not JSON: Expecting ',' delimiter"),
        ("d.jsonl", '\n{"label": "a", "text": b}\n', "d.jsonl:2: not JSON: Expecting value"),
        ("d.jsonl", '{"label": "a", "text": "b"} {}\n', "d.jsonl:1: not JSON: Extra data"),
        ("d.jsonl", '{"label": "a", "text": "b\x01"}\n', "d.jsonl:1: not JSON: Invalid control character at"),
        ("d.jsonl", '{"label": "a", "text": ' + "[" * 100_000 + "\n", "d.jsonl:1: not JSON: nested too deeply"),
        (
            "d.json",
            '[{"label": "a", "text": "b"}]\n',
            'd.json:1: not a JSON object; write one a line, as in {"label": "a", "text": "b"}',
        ),
        ("d.json", '[\n  {"label": "a", "text": "b"}\n]\n', "d.json:1: not JSON: Expecting value"),
        (
            "d.jsonl",
            '{"label": "a", "text": "b"}\n"c"\n',
            'd.jsonl:2: not a JSON object; write one a line, as in {"label": "a", "text": "b"}',
        ),
        (
            "d.jsonl",
            '{"label": "a", "text": "b"}\n{"kind": "a", "text": "b"}\n',
            "d.jsonl:2: no key 'label' (the keys are kind, text); name them "
            "with --set data.label=... --set data.text=...",
        ),
        (
            "d.jsonl",
            "{}\n",
            "d.jsonl:1: no key 'label' (the keys are none); name them with --set data.label=... --set data.text=...",
        ),
        (
            "d.jsonl",
            '{"label": "a"}\n',
            "d.jsonl:1: no key 'text' (the keys are label); name them with --set data.label=... --set data.text=...",
        ),
        ("d.jsonl", '{"label": null, "text": "b"}\n', "d.jsonl:1: 'label' is not a string or a whole number"),
        ("d.jsonl", '{"label": true, "text": "b"}\n', "d.jsonl:1: 'label' is not a string or a whole number"),
        ("d.jsonl", '{"label": 1.5, "text": "b"}\n', "d.jsonl:1: 'label' is not a string or a whole number"),
        ("d.jsonl", '{"label": NaN, "text": "b"}\n', "d.jsonl:1: 'label' is not a string or a whole number"),
        ("d.jsonl", '{"label": "a", "text": ["b"]}\n', "d.jsonl:1: 'text' is not a string or a whole number"),
        ("d.jsonl", '{"label": "a", "text": "b"}\n{"label": "", "text": "b"}\n', "d.jsonl:2: the label is empty"),
        ("d.jsonl", '{"label": "a\\nb", "text": "b"}\n', "d.jsonl:1: the label holds a tab or a line end"),
        # fastText
        ("d.txt", "__label__a one\ntwo\n", "d.txt:2: does not start with __label__"),
        ("d.txt", "__label__a one\n\n __label__b two\n", "d.txt:3: does not start with __label__"),
        (
            "d.txt",
            "__label__a one\n__label__a __label__b two\n",
            "d.txt:2: more than one label; keep one a line, or say --set data.multi_label=true",
        ),
        (
            "d.txt",
            "__label__a  __label__b two\n",
            "d.txt:1: more than one label; keep one a line, or say --set data.multi_label=true",
        ),
        ("d.txt", "__label__ one\n", "d.txt:1: the label is empty"),
        ("d.txt", "__label__a\tone\n", "d.txt:1: the label holds a tab or a line end"),
    ],
)
def test_a_fault_is_laid_at_its_line(tmp_path: Path, name: str, content: str | bytes, fault: str) -> None:
    assert fault_of(tmp_path, content, name) == fault


@pytest.mark.parametrize("key", ["label", "text", "more"])
def test_a_number_of_too_many_digits_is_a_fault_of_its_line(tmp_path: Path, key: str) -> None:
    row = '{"label": "a", "text": "b", "more": 1}\n'
    long = row.replace(f'"{key}": ', f'"{key}": {"7" * 5000}, "x": ')
    assert fault_of(tmp_path, row + long, "d.jsonl").startswith("d.jsonl:2: ")


@pytest.mark.parametrize(
    ("escaped", "text"),
    [("\\ud800", "?"), ("x\\udc00y", "x?y"), ("\\ude00\\ud83d", "??"), ("\\ud83d\\ude00\\ud83d", "😀?")],
)
def test_half_a_character_in_json_is_replaced(tmp_path: Path, escaped: str, text: str) -> None:
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


def test_standard_input_is_named_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read_stdin(content: bytes) -> list[Example]:
        path = tmp_path / "stdin"
        path.write_bytes(content)
        with path.open(encoding="utf-8") as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            return read_examples("-", DataConfig())

    assert read_stdin(b"a\tone\nb\ttwo") == [Example("a", "one", 1), Example("b", "two", 2)]
    with pytest.raises(DataError, match=r"^standard input:2: no tab; write label<TAB>text$"):
        read_stdin(b"a\tone\nb two")


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
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
        ("d.tsv", "b|a|a\tone\n", "d.tsv:1: the label 'a' stands twice"),
        ("d.tsv", "a|b\tone\ntwo\n", "d.tsv:2: no tab; write label<TAB>text"),
        ("d.csv", 'label,text\n"a\tb",one\n', "d.csv:2: the label holds a tab or a line end"),
        ("d.jsonl", '{"label": ["a", "b\\tc"], "text": ""}\n', "d.jsonl:1: the label holds a tab or a line end"),
        ("d.jsonl", '{"label": ["a", ""], "text": ""}\n', "d.jsonl:1: one of the labels is empty"),
        ("d.jsonl", '{"label": ["a", "a"], "text": ""}\n', "d.jsonl:1: the label 'a' stands twice"),
        ("d.jsonl", '{"label": ["a", null], "text": ""}\n', "d.jsonl:1: 'label' is not a string or a whole number"),
        ("d.jsonl", '{"label": null, "text": ""}\n', "d.jsonl:1: 'label' is not a string or a whole number"),
        ("d.txt", "__label__a __label__ one\n", "d.txt:1: one of the labels is empty"),
        ("d.txt", "__label__a __label__a one\n", "d.txt:1: the label 'a' stands twice"),
        ("d.txt", "__label__a\t__label__b one\n", "d.txt:1: the label holds a tab or a line end"),
    ],
)
def test_a_fault_of_several_labels_is_laid_at_its_line(tmp_path: Path, name: str, content: str, fault: str) -> None:
    assert fault_of(tmp_path, content, name, multi_label=True, label_separator="|") == fault


def test_a_list_is_no_label_where_a_text_has_one(tmp_path: Path) -> None:
    fault = fault_of(tmp_path, '{"label": ["a"], "text": "x"}\n', "d.jsonl")
    assert fault == "d.jsonl:1: 'label' is not a string or a whole number"
