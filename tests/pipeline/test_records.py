"""Records of lines and tables keep their bytes and are emitted at once; faults are reported with their line."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from textrnn.config import DataConfig
from textrnn.errors import DataError
from textrnn.inference import RecordFormat
from textrnn.pipeline.records import Record, RecordReader


def read(
    paths: Sequence[Path], field: str | None = None, *, watch: Callable[[int], None] | None = None, **options: object
) -> list[Record]:
    found: list[Record] = []
    config = DataConfig.model_validate({"text": field, "encoding": "utf-8"} | options)
    RecordReader(config, watch=watch).read(map(str, paths), found.extend)
    return found


def write(folder: Path, content: bytes, name: str) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def test_lines_keep_their_bytes(tmp_path: Path) -> None:
    lines = [b"a\tb", b"", b"crlf\r", b"\r\r", b"nul \0", b"\xff \xc3", b"x" * 3_000_000, "한".encode()]
    found = read([write(tmp_path, b"\xef\xbb\xbf" + b"\n".join(lines), "lines.tsv")])
    assert [record.raw for record in found] == lines
    texts = [line.decode(errors="replace").removesuffix("\r") for line in lines]
    assert [record.text for record in found] == texts
    assert {record.format for record in found} == {"line"}


HEAD = [(b"id\ttext", None)]
CASES: list[tuple[str, bytes, str, list[tuple[bytes, str | None]]]] = [
    ("a.tsv", b"1\tone\r\n\t\n2\t\xff\tx", "2", [(b"1\tone\r", "one"), (b"\t", ""), (b"2\t\xff\tx", "\ufffd")]),
    ("a.tsv", b"id\ttext\n1\tone\n", "text", [(b"id\ttext", None), (b"1\tone", "one")]),
    ("reported by a tab", b"\xef\xbb\xbftext\tid\none\t1\n", "text", [(b"text\tid", None), (b"one\t1", "one")]),
    (
        "a.csv",
        b'id,text\r\n1,"a ""b"",\r\nc"\r\n\n2,x y\n3,"\xff \0"',
        "text",
        [
            (b"id,text\r", None),
            (b'1,"a ""b"",\r\nc"\r', 'a "b", c'),
            (b"2,x y", "x y"),
            (b'3,"\xff \0"', "\ufffd \0"),
        ],
    ),
    ("reported by a column", b'id,"text"\n1,one\n', "text", [(b'id,"text"', None), (b"1,one", "one")]),
    ("a.csv", "1,한\n2,글\n".encode(), "2", [("1,한".encode(), "한"), ("2,글".encode(), "글")]),
    (
        "a.jsonl",
        b'{"id": 1.00, "text": "a\\nb"}\r\n\n {"text": 7}\n{"text": "\xff"}',
        "text",
        [(b'{"id": 1.00, "text": "a\\nb"}\r', "a b"), (b' {"text": 7}', "7"), (b'{"text": "\xff"}', "\ufffd")],
    ),
    (
        "one column.csv",
        b'text\na\n""\n\nb\n',
        "text",
        [(b"text", None), (b"a", "a"), (b'""', ""), (b"", ""), (b"b", "b")],
    ),
    ("one column.tsv", b"a\n\n \n", "1", [(b"a", "a"), (b"", ""), (b" ", " ")]),
    ("blank.tsv", b"id\ttext\n\n1\tone\n  \nid\ttext\n\t\n", "text", [*HEAD, (b"1\tone", "one"), (b"\t", "")]),
    ("semicolons.csv", b"id;text\n1;a, b\n", "TEXT", [(b"id;text", None), (b"1;a, b", "a, b")]),
    ("nested.jsonl", b'{"meta": {"text": true}}\n', "meta.text", [(b'{"meta": {"text": true}}', "true")]),
    (
        "array.json",
        b'[{"text": "a",\n "n": 1},\n{"text": 2.50}]\n',
        "text",
        [(b'{"text": "a",  "n": 1}', "a"), (b'{"text": 2.50}', "2.50")],
    ),
    ("reported by a brace", b'\n{"3": "three"}\n', "3", [(b'{"3": "three"}', "three")]),
]


@pytest.mark.parametrize(("name", "content", "field", "expected"), CASES)
@pytest.mark.parametrize("compressed", [False, True])
def test_the_field_of_a_table_is_the_text(
    name: str, content: bytes, field: str, expected: list[tuple[bytes, str | None]], compressed: bool, tmp_path: Path
) -> None:
    path = write(tmp_path, gzip.compress(content) if compressed else content, name + (".gz" if compressed else ""))
    assert [record[:2] for record in read([path], field)] == expected


@pytest.mark.parametrize("format_", ["tsv", "csv", "jsonl"])
def test_the_format_can_be_set(format_: RecordFormat, tmp_path: Path) -> None:
    content = {"tsv": b"a,b\ttext\n1\tx\n", "csv": b"text,a\tb\nx,1\n", "jsonl": b'{"text": "x"}\n'}[format_]
    path = write(tmp_path, content, "data.txt.csv" if format_ != "csv" else "data.tsv")
    found = read([path], "text", format=format_)
    assert (found[-1].text, found[-1].format) == ("x", format_)


def test_the_header_is_emitted_once(tmp_path: Path) -> None:
    one = write(tmp_path, b"id\ttext\n1\tone\n", "1.tsv")
    two = write(tmp_path, b"id\ttext\n2\ttwo\n", "2.tsv")
    empty, blank = write(tmp_path, b"", "empty.tsv"), write(tmp_path, b"\n\n", "blank.tsv")
    found, notes = [], []  # type: tuple[list[Record], list[str]]
    reader = RecordReader(DataConfig(text="text"), note=notes.append)
    reader.read(map(str, [empty, one, blank, two]), found.extend)
    assert [record.text for record in found] == [None, "one", "two"]
    assert [note.partition(".tsv: ")[2].split(";")[0] for note in notes] == ["is empty", "contains no text"]


def test_records_have_the_names_of_columns_and_keys(tmp_path: Path) -> None:
    header, row = read([write(tmp_path, b"label\ttext\n1\tx\n", "a.tsv")], field="text")
    assert (header.names, row.names) == (("label", "text"), ())
    rows = write(tmp_path, b'{"text": "a"}\n{"text": "a", "probability": 1}\n', "a.jsonl")
    assert [list(record.names) for record in read([rows], field="text")] == [["text"], ["text", "probability"]]


DAMAGED = gzip.compress(b'{"text": "x"}\n', mtime=0)[:-4]  # part of the name of a test, so it must not change
FAULTS = [
    ("a.tsv", b"a\tx\nb\n", "2", 1, r"a\.tsv:2: has 1 column, but needs 2$"),
    ("a.tsv", b"id\ttext\na\tx\nb\n", "text", 2, r"a\.tsv:3: has 1 column, but the header has 2$"),
    ("a.tsv", b"id\twords\n", "text", 0, r"a\.tsv:1: no column 'text'; the columns are id, words; .*--field"),
    ("a.csv", b'text,n\n"a\nb",1\nx,"2\n', "text", 2, r"a\.csv:4: not CSV: .*"),
    ("a.csv", b"id,text\n1,x\n2\n", "text", 2, r"a\.csv:3: has 1 column, but the header has 2$"),
    ("a.csv", b"id,text\n1,x\n2,y,z\n", "text", 2, r"a\.csv:3: has 3 columns, but the header has 2; .*quotes"),
    ("a.jsonl", b'{"text": "x"}\n{"text"\n', "text", 1, r"a\.jsonl:2: not JSON: .*"),
    ("a.jsonl", b'{"text": "x"}\n[1]\n', "text", 1, r"a\.jsonl:2: not a JSON object; "),
    ("a.jsonl", b'{"text": "x"}\n{"t": 1}\n', "text", 1, r"a\.jsonl:2: no key 'text'; the keys are t; .*--field"),
    ("a.jsonl", b'{"text": null}\n', "text", 0, r"a\.jsonl:1: 'text' is null, not a text; .*--on-error skip"),
    ("a.txt", b"words\nmore\n", "text", 0, r"a\.txt:1: .*--field"),
    ("a.txt", b"a\rb,text\n", "text", 0, r"a\.txt:1: not CSV: a CR"),
    ("a.jsonl.gz", DAMAGED, "text", 1, r"a\.jsonl\.gz: .*damaged"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "field", "before", "message"), FAULTS)
def test_faults_are_reported_after_the_earlier_records(
    name: str, content: bytes, field: str, before: int, message: str, tmp_path: Path
) -> None:
    found: list[Record] = []
    with pytest.raises(DataError, match=message):
        RecordReader(DataConfig(text=field)).read([str(write(tmp_path, content, name))], found.extend)
    assert len(found) == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.tsv", b"text\tid\none\t1\n", r"b\.tsv:1: the header differs"),
        ("b.jsonl", b'{"text": "x"}\n', r"b\.jsonl:1: jsonl, but .*a\.tsv is tsv"),
    ],
)
def test_files_with_different_headers_or_formats_are_refused(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    first = write(tmp_path, b"id\ttext\n1\tone\n", "a.tsv")
    with pytest.raises(DataError, match=message):
        read([first, write(tmp_path, content, name)], "text")


@pytest.mark.parametrize(
    ("format_", "groups"),
    [
        ("tsv", [[b"id\ttext\n", b"1\tone\n"], [b"2\tt"], [b"wo\n"]]),
        ("csv", [[b"id,text\n", b"1,one\n"], [b'2,"tw'], [b'o\nlines"\n'], [b"\n", b"3,x\n"]]),
        ("jsonl", [[b'{"text": "a"}\n'], [b'{"text": "b"}\n\n'], [b"\n", b'{"text": "c"}\n']]),
    ],
)
def test_records_are_emitted_before_waiting_for_more_input(format_: RecordFormat, groups: list[list[bytes]]) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=0) as writer:
        guard = threading.Timer(60, writer.close)  # otherwise a missing record would block forever
        guard.start()
        found: list[Record] = []

        def send_more() -> None:
            for piece in groups.pop(0) if groups else []:
                writer.write(piece)

        def take(records: Sequence[Record]) -> None:
            found.extend(records)
            assert len(records) == 1
            if groups:
                send_more()
            else:
                writer.close()

        send_more()
        RecordReader(DataConfig(text="text", format=format_)).read([f"/dev/fd/{reading}"], take)
        assert guard.is_alive()
        guard.cancel()
    assert not groups
    assert len(found) == (4 if format_ == "csv" else 3)


def test_the_bytes_read_are_reported(tmp_path: Path) -> None:
    content = b"".join(b"line %d\n" % number for number in range(200_000))
    paths = [write(tmp_path, gzip.compress(content), "a.gz"), write(tmp_path, content, "b")]
    reported: list[int] = []
    read(paths, watch=reported.append)
    assert reported == sorted(reported)
    assert reported[-1] == sum(path.stat().st_size for path in paths)
    assert len(set(reported)) > 5


def test_labels_in_fasttext_s_format_are_left_out_of_lines(tmp_path: Path) -> None:
    content = b"__label__a one\ntwo __label__b three\n\nfour\n"
    notes: list[str] = []
    found: list[Record] = []
    RecordReader(DataConfig(), note=notes.append).read([str(write(tmp_path, content, "a.txt"))], found.extend)
    assert [record.text for record in found] == ["one", "two three", "", "four"]
    assert [record.raw for record in found] == content.removesuffix(b"\n").split(b"\n")
    assert len(notes) == 1


BAD = b'id,text\n1,a\n2\n3,"b"c\n4,d\n'


@pytest.mark.parametrize(
    ("on_error", "texts", "rejected"),
    [("skip", [None, "a", "d"], b'id,text\n2\n3,"b"c\n'), ("empty", [None, "a", "", "", "d"], b"")],
)
def test_bad_records_are_left_out_or_empty(
    on_error: str, texts: list[str | None], rejected: bytes, tmp_path: Path
) -> None:
    config = DataConfig.model_validate({"text": "text", "on_error": on_error})
    rejects, notes, found = [], [], []  # type: tuple[list[bytes], list[str], list[Record]]
    reader = RecordReader(config, note=notes.append, rejects=rejects.append)
    reader.read([str(write(tmp_path, BAD, "a.csv"))], found.extend)
    assert [record.text for record in found] == texts
    assert b"".join(rejects) == rejected
    assert [record.raw for record in found if not record.is_valid] == ([b"2", b'3,"b"c'] if on_error == "empty" else [])
    assert "2 " in notes[0]


@pytest.mark.parametrize("encoding", ["cp949", "utf-16", "utf-8-sig", "euc_kr"])
def test_records_can_be_written_in_the_encoding_of_their_file(encoding: str, tmp_path: Path) -> None:
    content = "번호,text\r\n1,배송이 늦어요\r\n2,환불 부탁드립니다\r\n".encode(encoding)
    found: list[Record] = []
    reader = RecordReader(DataConfig.model_validate({"text": "text", "encoding": encoding}))
    reader.read([str(write(tmp_path, content, "a.csv"))], found.extend)
    assert [record.text for record in found] == [None, "배송이 늦어요", "환불 부탁드립니다"]
    written: list[bytes] = []
    encode = reader.encode_lines(written.append)
    for record in found:
        encode(record.raw + b"\n")
    assert b"".join(written) == content
    if encoding == "cp949":
        with pytest.raises(DataError, match=r"'é'.* cp949"):
            encode("é".encode())


def test_invalid_lines_are_counted(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path, b"a\n\xff\n\xc3(\n\xef\xbf\xbd\n", "a.txt")
    RecordReader(DataConfig(encoding="utf-8"), note=notes.append).read([str(path)], lambda _: None)
    assert "2 lines have" in notes[0]
