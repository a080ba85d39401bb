"""Rows of each format, their faults, and what becomes of bad records."""

from __future__ import annotations

import random

import pytest

from row_texts import BOM, fault_of, open_rows, read_pairs, read_rows
from textrnn.config import DataConfig, DataFormat
from textrnn.data.reading.rows import RowReader
from textrnn.errors import DataError

NAME_THEM = "name the keys with --set data.label=NAME --set data.text=NAME"
SEVERAL = "several labels; keep one per line, or use --set data.multi_label=true"
NOT_AN_OBJECT = 'not a JSON object; write one per line, such as {"label": "a", "text": "b"}'


@pytest.mark.parametrize(
    ("kind", "content", "examples"),
    [
        ("tsv", "a\tone\nb\ttwo\n", [("a", "one", 1), ("b", "two", 2)]),
        ("tsv", "a\tone\tand\tmore\n", [("a", "one\tand\tmore", 1)]),
        ("tsv", "a\t\n", [("a", "", 1)]),
        ("tsv", "id\tText\tLABEL\n1\tone\ta\n2\t\tb\n", [("a", "one", 2), ("b", "", 3)]),
        ("tsv", '"label"\t"text"\n"a"\t"one\n""two"" \tx"\n', [("a", 'one "two" \tx', 2)]),
        ("tsv", 'a\t"say ""x"""\nb\ty\n', [("a", 'say "x"', 1), ("b", "y", 2)]),
        ("tsv", "label\ttext\na\tone\nlabel\ttext\nb\ttwo\n", [("a", "one", 2), ("b", "two", 4)]),
        ("tsv", "a\tone\n\ufeffb\ttwo\n", [("a", "one", 1), ("b", "two", 2)]),
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
        ("csv", "label;text\na;b, c\n", [("a", "b, c", 2)]),
        ("csv", "TEXT|Label\nb, c;|a\n", [("a", "b, c;", 2)]),
        ("csv", "label,text\na,one\n\ufefflabel,text\nb,two\n", [("a", "one", 2), ("b", "two", 4)]),
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
        (
            "jsonl",
            '{"label": true, "text": false}\n{"label": 1.50, "text": -2e3}\n',
            [("true", "false", 1), ("1.50", "-2e3", 2)],
        ),
        (
            "jsonl",
            '{"label": 0, "text": "", "x": {"label": 1}}\n{"Label": "a", " TEXT": 1}\n',
            [("0", "", 1), ("a", "1", 2)],
        ),
        (
            "jsonl",
            '[{"label": "a", "text": "b"},\n {"label": "c",\n"text": "d\\ne"}]\n',
            [("a", "b", 1), ("c", "d e", 2)],
        ),
        ("jsonl", '{\n"label": "a",\n"text": "b"\n}\n{"label": "c", "text": ""}', [("a", "b", 1), ("c", "", 5)]),
        ("jsonl", '{"label": "\\uac00", "text": "\\ud83d\\ude00é"}\n', [("가", "😀é", 1)]),
        ("fasttext", "__label__a one\n__label__b two three\n", [("a", "one", 1), ("b", "two three", 2)]),
        ("fasttext", "\none __label__x two\n\n__label__b\n", [("x", "one two", 2), ("b", "", 4)]),
        ("fasttext", " __label__a-b,c  padded \n\t__label__a\tone\n", [("a-b,c", "padded ", 1), ("a", "one", 2)]),
        ("fasttext", "__label__a\x0bx__label__y\n", [("a", "x__label__y", 1)]),
    ],
)
def test_each_format(kind: DataFormat, content: str, examples: list[tuple[str, str, int]]) -> None:
    assert read_pairs(content, format=kind) == examples
    assert read_pairs(BOM + content.encode(), format=kind) == examples


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        # nothing to read
        ("d.tsv", "", "d.tsv: is empty; it needs labelled text"),
        ("d.tsv", BOM, "d.tsv: contains no labelled text"),
        ("d.tsv", "\n \n", "d.tsv: contains no labelled text"),
        # TSV
        ("d.tsv", "a\tone\n\nb two\n", "d.tsv:3: no tab; write label<TAB>text"),
        ("d.tsv", "a\tone\n\ttwo\n", "d.tsv:2: the label is empty"),
        ("d.tsv", "a\tone\n \ttwo\n", "d.tsv:2: the label is empty"),
        ("d.tsv", "a\rb\tone\n", "d.tsv:1: the label contains a tab or a line end"),
        # CSV
        ("d.csv", "label,text\na,one\nb,two,three\n", "d.csv:3: has 3 columns, but the header has 2"),
        ("d.csv", "id,label,text\n1,a,one\n\n2,b\n", "d.csv:4: has 2 columns, but the header has 3"),
        ("d.csv", 'label,text\na,"one\n\ntwo"\nb,c,d\n', "d.csv:5: has 3 columns, but the header has 2"),
        ("d.csv", 'label,text\na,"one\ntwo"\n"b\nb",c,"d\ne"\nf,g\n', "d.csv:4: has 3 columns, but the header has 2"),
        ("d.tsv", "label\ttext\na\tone\ttwo\n", "d.tsv:2: has 3 columns, but the header has 2"),
        ("d.csv", "label,text\na,one\n,two\n", "d.csv:3: the label is empty"),
        ("d.csv", 'label,text\na,"one\ntwo"\n" ",two\n', "d.csv:4: the label is empty"),
        ("d.csv", 'label,text\n"a\nb",one\n', "d.csv:2: the label contains a tab or a line end"),
        ("d.csv", 'label,text\n"a\tb",one\n', "d.csv:2: the label contains a tab or a line end"),
        ("d.csv", 'label,text\na,one\nb,"two"x\n', "d.csv:3: not CSV: ',' expected after '\"'"),
        ("d.csv", 'label,text\na,"one\nb,two\n', "d.csv:2: not CSV: unexpected end of data (the row ends in line 3)"),
        # JSON Lines
        ("d.jsonl", '{"label": "a", "text": "b"}\n{"label": "a"\n', "d.jsonl:2: not JSON: Expecting ',' delimiter"),
        ("d.jsonl", '\n{"label": "a", "text": b}\n', "d.jsonl:2: not JSON: Expecting value"),
        ("d.jsonl", '{"label": "a", "text": "b"} {}\n', "d.jsonl:1: record 2: no key 'label'"),
        ("d.jsonl", '{"label": "a", "text": "b\x01"}\n', "d.jsonl:1: not JSON: Invalid control character at"),
        ("d.jsonl", '{"label": "a", "text": ' + "[" * 100_000 + "\n", "d.jsonl:1: not JSON: nested too deeply"),
        ("d.jsonl", '{"label": "a", "text": "b"}\n"c"\n', f"d.jsonl:2: {NOT_AN_OBJECT}"),
        (
            "d.jsonl",
            '{"label": "a", "text": "b"}\n{"kind": "a", "text": "b"}\n',
            f"d.jsonl:2: no key 'label'; the keys are kind, text; {NAME_THEM}",
        ),
        ("d.jsonl", "{}\n", f"d.jsonl:1: no key 'label'; the keys are none; {NAME_THEM}"),
        ("d.jsonl", '{"label": "a"}\n', f"d.jsonl:1: no key 'text'; the keys are label; {NAME_THEM}"),
        ("d.jsonl", '{"label": null, "text": "b"}\n', "d.jsonl:1: 'label' is null, not a text"),
        ("d.jsonl", '{"label": NaN, "text": "b"}\n', "d.jsonl:1: 'label' is null, not a text"),
        ("d.jsonl", '{"label": "a", "text": ["b"]}\n', "d.jsonl:1: 'text' is a list, not a text"),
        ("d.jsonl", '{"label": "a", "text": "b"}\n{"label": "", "text": "b"}\n', "d.jsonl:2: the label is empty"),
        ("d.jsonl", '{"label": "a\\nb", "text": "b"}\n', "d.jsonl:1: the label contains a tab or a line end"),
        ("d.json", "[\n]\n", "d.json: contains no labelled text"),
        # fastText
        ("d.json", '[{"label": "a", "text": "b"}, 3]\n', "d.json:1: record 2: not a JSON object: 3"),
        (
            "d.json",
            '[{"label": "a", "text": "b"},\n{"label": x}]\n',
            "d.json:2: not JSON: Expecting value; the rest cannot be read",
        ),
        (
            "d.json",
            '[{"label": "a", "text": "b"}\n',
            "d.json: ends inside a JSON array; the file is cut, copy it again",
        ),
        (
            "d.jsonl",
            '{"label": ["a"], "text": "x"}\n',
            "d.jsonl:1: 'label' is a list; texts with several labels need --set data.multi_label=true",
        ),
        ("d.txt", "__label__a one\ntwo\n", "d.txt:2: no label; write __label__LABEL text"),
        ("d.txt", "__label__a one\n__label__a __label__b two\n", f"d.txt:2: {SEVERAL}"),
        ("d.txt", "__label__a  __label__b two\n", f"d.txt:1: {SEVERAL}"),
        ("d.txt", "__label__ one\n", "d.txt:1: the label is empty"),
    ],
)
def test_a_fault_has_its_line(name: str, content: str | bytes, fault: str) -> None:
    assert fault_of(content, name).startswith(fault)


@pytest.mark.parametrize("key", ["label", "text", "more"])
def test_numbers_are_read_digit_by_digit(key: str) -> None:
    row = '{"label": "a", "text": "b", "more": 1}\n'.replace(f'"{key}": ', f'"{key}": {"7" * 5000}, "{key}x": ')
    values = {"label": "a", "text": "b"} | {key: "7" * 5000}
    assert read_pairs(row, "d.jsonl") == [(values["label"], values["text"], 1)]


@pytest.mark.parametrize(
    ("escaped", "text"),
    [("\\ud800", "?"), ("x\\udc00y", "x?y"), ("\\ude00\\ud83d", "??"), ("\\ud83d\\ude00\\ud83d", "😀?")],
)
def test_half_a_surrogate_pair_in_json_is_replaced(escaped: str, text: str) -> None:
    content = f'{{"label": "{escaped}", "text": "{escaped}"}}\n'
    assert read_pairs(content, "d.jsonl") == [(text, text, 1)]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("d.tsv", b"a\tb\n\na\tx\xffy\n", 3),
        ("d.csv", b"label,text\na,x\xffy\n", 2),
        ("d.jsonl", b'{"label": "a", "text": "x\xff"}\n', 1),
        ("d.json", b'[{"label": "a", "text": "x"},\n{"label": "a", "text": "x\xff"}]', 2),
        ("d.txt", b"__label__a x\n__label__\xb9 y\n", 2),
    ],
)
def test_bytes_that_are_not_utf8_are_a_fault(name: str, content: bytes, line: int) -> None:
    fault = fault_of(content, name)
    assert fault.startswith(f"{name}:{line}: ")
    assert "bytes that are not valid in the encoding; " in fault


@pytest.mark.parametrize(
    ("name", "content", "options", "rows"),
    [
        # what a fault leaves: (labels, text, line, valid); with "empty", a record needs its labels
        ("d.csv", "label,text\na,x\nb\nc,y\n", "skip", [("a", "x", 2, True), ("c", "y", 4, True)]),
        (
            "d.jsonl",
            '{"label": "a", "text": null}\n{"label": "b"}\n',
            "empty",
            [("a", "", 1, False), ("b", "", 2, False)],
        ),
        (
            "d.jsonl",
            '{"label": "a", "text": "x"}\n{\n[1]\n{"label": "b", "text": "y"}',
            "skip",
            [("a", "x", 1, True), ("b", "y", 4, True)],
        ),
        ("d.csv", 'label,text\na,"x"y\nb,"z\n\nc,w\n', "skip", [("c", "w", 5, True)]),
        ("d.txt", "__label__a x\ny\n__label__b __label__c z\n", "skip", [("a", "x", 1, True)]),
        ("d.tsv", b"a\tx\nb\t\xff\n", "skip", [("a", "x", 1, True)]),
        ("d.json", '[{"label": "a", "text": "x"}, 7, {"text": "y"}]', "skip", [("a", "x", 1, True)]),
    ],
)
def test_bad_records_can_be_left_out_or_empty(
    name: str, content: str | bytes, options: str, rows: list[tuple[str, str, int, bool]]
) -> None:
    notes: list[str] = []
    found = read_rows(content, name, on_error=options, note=notes.append)
    assert [(",".join(row.labels), row.text, row.number, row.is_valid) for row in found] == rows
    assert "record" in notes[0]


def test_an_empty_text_needs_labels() -> None:
    assert fault_of('{"label": "a"}\n{"text": "x"}\n', "d.jsonl", on_error="empty").startswith(
        "d.jsonl:2: no key 'label'"
    )
    rows = read_rows('{"label": "a"}\n{\n{"text": "x"}\n', "d.jsonl", on_error="empty", labelled=False)
    assert [(row.text, row.is_valid) for row in rows] == [("", False), ("", False), ("x", True)]


def test_skipped_records_are_counted_and_kept() -> None:
    kept, notes = [], []  # type: tuple[list[bytes], list[str]]
    lines = b"id,label,text\n1,a,x\n" + b"2,b\n" * 5 + b"3,c,y"
    reader = RowReader("d.csv", [lines], DataConfig(on_error="skip"), rejects=kept.append, note=notes.append)
    assert [row.number for rows in reader for row in rows] == [2, 8]
    assert b"".join(kept) == b"id,label,text\n" + b"2,b\n" * 5
    (note,) = notes
    assert note.startswith("d.csv: 5 bad records skipped: line 3: has 2 columns")
    assert "line 5: " in note
    assert "line 6: " not in note


@pytest.mark.parametrize(
    ("name", "content", "options", "rows"),
    [
        ("d.csv", "title,body,label\na,b,c\n", {"text": ["title", "body"]}, [("c", "a b", 2)]),
        (
            "d.jsonl",
            '{"m": {"a": "x"}, "b": 2, "l": {"n": true}}',
            {"text": ["m.a", "b"], "label": "l.n"},
            [("true", "x 2", 1)],
        ),
        ("d.jsonl", '{"a.b": "x", "a": {"b": "y"}, "label": "l"}', {"text": "a.b"}, [("l", "x", 1)]),
        ("d.tsv", "1\ta\tx y\t\n2\tb\tz\tmore\tmore\n", {"text": "3", "label": "2"}, [("a", "x y", 1), ("b", "z", 2)]),
        ("d.csv", "x,a\n\ny,b\n", {"text": "1", "label": "02"}, [("a", "x", 1), ("b", "y", 3)]),
        ("d.csv", "1,label,2\nx,a,y\n", {"text": "2", "label": "label"}, [("a", "y", 2)]),
        ("d.tsv", 'label\ttext\na\t"x"\n', {"quoting": True}, [("a", "x", 2)]),
        (
            "d.tsv",
            '"label"\t"text"\n"a"\tx\n',
            {"quoting": False, "label": '"label"', "text": '"text"'},
            [('"a"', "x", 2)],
        ),
        ("d.csv", "label:text\na:x,y\n", {"delimiter": ":"}, [("a", "x,y", 2)]),
        (
            "d.csv",
            "text,bad,rude\nx,1,0\ny,0,False\nz,TRUE,1.0\n",
            {"label": ["bad", "rude"]},
            [("bad", "x", 2), ("", "y", 3), ("bad,rude", "z", 4)],
        ),
        ("d.jsonl", '{"text": "x", "bad": true, "rude": 0}', {"label": ["bad", "rude"]}, [("bad", "x", 1)]),
        (
            "d.tsv",
            "a|b\tx\n\ty\nb|c d\tz\n",
            {"label_separator": "|", "multi_label": True},
            [("a,b", "x", 1), ("", "y", 2), ("b,c d", "z", 3)],
        ),
        ("d.tsv", "a|b\tx\n\ty\n", {"multi_label": True}, [("a|b", "x", 1), ("", "y", 2)]),
        ("d.tsv", "a; b\tx\n", {"label_separator": "; ", "multi_label": True}, [("a,b", "x", 1)]),
        (
            "d.csv",
            "text,label\nx,a|b\ny,\n",
            {"label_separator": "|", "multi_label": True},
            [("a,b", "x", 2), ("", "y", 3)],
        ),
        (
            "d.jsonl",
            '{"label": ["a", "b|c", 7], "text": ""}\n{"label": [], "text": ""}\n{"label": "a|b", "text": ""}',
            {"label_separator": "|", "multi_label": True},
            [("a,b|c,7", "", 1), ("", "", 2), ("a,b", "", 3)],
        ),
        (
            "d.txt",
            "__label__a\t__label__b  x\nnone\n y __label__b z __label__a\n",
            {"multi_label": True, "format": "fasttext"},
            [("a,b", "x", 1), ("", "none", 2), ("b,a", "y z ", 3)],
        ),
    ],
)
def test_columns_and_labels(
    name: str, content: str, options: dict[str, object], rows: list[tuple[str, str, int]]
) -> None:
    if isinstance(options.get("label"), list):
        options = options | {"multi_label": True}
    assert read_pairs(content, name, **options) == rows


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("d.tsv", "a|b\tone\na||b\ttwo\n", "d.tsv:2: one of the labels is empty"),
        ("d.tsv", "a|\tone\n", "d.tsv:1: one of the labels is empty"),
        ("d.tsv", " \tone\n", "d.tsv:1: the label is empty"),
        ("d.tsv", "b|a|a\tone\n", "d.tsv:1: a label occurs twice; keep one 'a'"),
        ("d.tsv", "a|b\tone\ntwo\n", "d.tsv:2: no tab; write label<TAB>text"),
        ("d.csv", 'label,text\n"a\tb",one\n', "d.csv:2: the label contains a tab or a line end"),
        ("d.jsonl", '{"label": ["a", "b\\tc"], "text": ""}\n', "d.jsonl:1: the label contains a tab or a line end"),
        ("d.jsonl", '{"label": ["a", ""], "text": ""}\n', "d.jsonl:1: one of the labels is empty"),
        ("d.jsonl", '{"label": ["a", null], "text": ""}\n', "d.jsonl:1: 'label' is null, not a text"),
        ("d.txt", "__label__a __label__ one\n", "d.txt:1: one of the labels is empty"),
        ("d.txt", "__label__a __label__a one\n", "d.txt:1: a label occurs twice; keep one 'a'"),
    ],
)
def test_a_fault_of_several_labels_has_its_line(name: str, content: str, fault: str) -> None:
    separator = None if name == "d.txt" else "|"
    assert fault_of(content, name, multi_label=True, label_separator=separator).startswith(fault)


def test_a_mark_must_be_0_or_1() -> None:
    fault = fault_of("text,bad\nx,1\ny,2\n", "d.csv", multi_label=True, label=["bad"])
    assert fault == "d.csv:3: column 'bad' should be 0 or 1, not '2'"


def test_rows_have_groups() -> None:
    rows = read_rows("label,text,customer\na,x,7\nb,y,8\n", "d.csv", group="customer")
    assert [row.group for row in rows] == ["7", "8"]


PIECES = {
    "csv": [
        b"a,one",
        b'b,"two\nlines"',
        b'"c","x, ""y"""',
        b'a,"\r\n"',
        b"b,nul\0",
        b"label,text",
        "가,나\r".encode(),
        b"",
    ],
    "tsv": [
        b"a\tone",
        b"b\ttwo\tthree",
        b"a\t",
        b"a\tx\r",
        b"b\tnul\0\r",
        b"",
        b"  ",
        BOM + b"a\ty",
        "가\t나 다".encode(),
    ],
    "jsonl": [b'{"label": "a", "text": "x\\ny"}', b'{"text": "z", "label": 3}\r', b"", b'{"label": "a", "text": "\0"}'],
    "fasttext": [
        b"__label__a one",
        b"__label__b",
        b" x __label__b two",
        "__label__가 나\r".encode(),
        b"",
        b"__label__a\0x",
    ],
}
BROKEN = {"csv": [b"a", b'a,"x"y', b'b,"open'], "tsv": [b"a", b"\tx"], "jsonl": [b"{", b"[]"], "fasttext": [b"one"]}


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("kind", PIECES)
@pytest.mark.parametrize("seed", range(30))
def test_rows_do_not_depend_on_the_size_of_chunks(kind: str, seed: int, labelled: bool) -> None:
    rng = random.Random(seed)
    lines = rng.choices(PIECES[kind], k=rng.randrange(1, 30)) + rng.choices(BROKEN[kind], k=seed % 3)
    rng.shuffle(lines)
    head = {"csv": [b"label,text"], "tsv": [b"a\tx"] if labelled else []}.get(kind, [])
    content = rng.choice([b"", BOM]) + rng.choice([b"\n", b"\r\n"]).join([*head, *lines]) + rng.choice([b"", b"\n"])
    options: dict[str, object] = {"format": kind, "on_error": "skip", "labelled": labelled, "quoting": None}
    if kind == "fasttext" and not labelled:
        options["multi_label"] = True
    if kind == "tsv" and not labelled:
        options["text"] = "2"

    def read(size: int) -> object:
        try:
            notes: list[str] = []
            reader = open_rows(content, size=size, note=notes.append, **options)  # type: ignore[arg-type]
            return [row for rows in reader for row in rows], notes, reader.header
        except DataError as fault:
            return str(fault)

    expected = read(1 << 20)
    assert [read(size) == expected for size in (1, 7, 64)] == [True] * 3


@pytest.mark.parametrize("content", [b'{"text":"x\xff"}\n', b'[{"text":"x\xff"},{"text":""}]'])
def test_without_labels_invalid_bytes_are_replaced(content: bytes) -> None:
    row = read_rows(content, "d.json", labelled=False)[0]
    assert (row.text, row.raw) == ("x\ufffd", b'{"text":"x\xff"}')


def test_a_table_is_read_alike_however_it_arrives() -> None:
    for content in (
        'label\ttext\na\t"he said ""hi"""\nb\tc\n',
        '"label"\t"text"\n"1"\t"a"\t"x"\n"2"\t"b"\t"y"\n',
        'label\ttext\na\t"one\ntwo"\nb\tc\n',
    ):
        whole = [row[2:4] for row in read_rows(content, "d.tsv")]
        assert [row[2:4] for row in read_rows(content, "d.tsv", size=1)] == whole


def test_a_second_header_in_another_order_is_a_fault() -> None:
    for name, delimiter in (("d.tsv", "\t"), ("d.csv", ",")):
        rows = [["label", "text"], ["a", "x"], ["Text", "label"], ["y", "b"]]
        assert "second header" in fault_of("".join(delimiter.join(row) + "\n" for row in rows), name)


def test_a_repeated_line_of_excel_is_no_record() -> None:
    assert read_pairs("sep=;\nlabel;text\na;x\nsep=;\nlabel;text\nb;y\n", "d.csv") == [("a", "x", 3), ("b", "y", 6)]


def test_a_column_of_one_name_keeps_texts_that_equal_it() -> None:
    rows = read_rows("text\nfoo\ntext\n", "d.csv", labelled=False, text="text")
    assert [row.text for row in rows] == ["foo", "text"]
