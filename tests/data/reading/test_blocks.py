"""Parsing in blocks gives the same examples as parsing line by line, and the same fault at the same line."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from textrnn.config import DataConfig
from textrnn.data.reading.blocks import Block, LabelTable, make_blocks
from textrnn.data.reading.examples import read_examples
from textrnn.data.reading.io import read_chunks
from textrnn.data.reading.layout import Layout
from textrnn.data.reading.rows import RowReader
from textrnn.errors import DataError

Found = tuple[str, str, int]

GOOD = {
    "tsv": [
        b"a\tone",
        b"b\ttwo\tthree",
        b"a\t",
        "가\t나 다".encode(),
        b"a\tx\r",
        b"a\tx\ry",
        "b\t\u2028\u0085".encode(),
    ],
    "table": [b"1\ta\tone", b"\tb\ttwo ", "x\t가\t나 다\r".encode(), b"id\ta\t", b"\t\xc2\xa0b\t\0"],
    "fasttext": [
        b"__label__a one",
        b"__label__b",
        b"__label__b  two ",
        "__label__가 나".encode(),
        b"__label__a x\r",
        b" __label__a x",
        b"__label__a\tx\x0b",
        b"__label__b x__label__y",
    ],
    "jsonl": [b'{"label": "a", "text": "x\\ny"}', b'{"text": "z", "label": 3}'],
    "csv": [b"a,one", b'b,"two\nlines"', b'"c","x, y"'],
}
ODD = {
    "tsv": [b"\xef\xbb\xbfb\tx", b"", b"  ", b" \t ", "\u3000".encode(), "\u3000\t".encode(), b"b\t__label__x"],
    "table": [b"", b" \t \t", b"id\tlabel\ttext", b"\xef\xbb\xbf1\ta\tx"],
    "fasttext": [b"", b" ", b"one __label__x two", b"one\v__label__x", b"__label__a\0x"],
    "jsonl": [b"", b"  "],
    "csv": [b"", b""],
}
BAD = {
    "table": [b"1\ta", b"1\ta\tx\ty", b"1\t\tx", b"1\ta\t\xff", b"a", b"\xc3\t \tx"],
    "tsv": [b"a one", b"\tx", b" \tx", b"a\rb\tx", b"a\t\xff", b"\xc3\tx", "\u3000\tx".encode()],
    "fasttext": [
        b"one",
        b"__label__ x",
        b"__label__a __label__b",
        b"__label__a __label__a x",
        b"__label__\xe3\x80\x80 x",
        b"__label__a \xff",
    ],
    "jsonl": [b"{", b"[]", b'{"label": "", "text": "x"}', b'{"label": "a"}', b"\xff"],
    "csv": [b"a", b"a,b,c", b",x", b'a,"x', b"a,\xff"],
}


HEADER = {"csv": b"label,text", "table": b"id\tlabel\ttext"}


def configure(kind: str) -> DataConfig:
    """Return how to read each kind; as UTF-8, so that single wrong bytes are faults of their lines."""
    return DataConfig.model_validate({"format": "tsv" if kind == "table" else kind, "encoding": "utf-8"})


def slowly(path: Path, config: DataConfig) -> list[Found] | str:
    try:
        return [(example.label, example.text, example.line_number) for example in read_examples(str(path), config)]
    except DataError as error:
        return str(error)


def in_bulk(path: Path, config: DataConfig, size: int) -> list[Found] | str:
    rows: list[Found] = []
    try:
        chunks = read_chunks(io.BytesIO(path.read_bytes()).read, size)
        for block in make_blocks(RowReader(str(path), chunks, config)):
            assert len(block.labels) == len(block.texts) == len(block.line_numbers) > 0
            texts = [text.decode() for text in block.texts]
            rows += zip([label.decode() for label in block.labels], texts, block.line_numbers, strict=True)
    except DataError as error:
        return str(error)
    return rows


@pytest.mark.parametrize("kind", ["tsv", "table", "fasttext", "jsonl", "csv"])
@pytest.mark.parametrize("seed", range(60))
def test_both_ways_give_the_same_examples(kind: str, seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    lines = rng.choices(GOOD[kind], k=rng.randrange(40))
    lines += rng.choices(ODD[kind], k=rng.randrange(4)) if seed % 3 else []
    rng.shuffle(lines)
    if seed % 4 == 0:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(BAD[kind]))
    if kind in HEADER:
        lines.insert(0, HEADER[kind])
    if kind == "tsv" and seed % 5 == 0:
        lines.insert(0, b"label\ttext")
    end = rng.choice([b"", b"\n", b"\r\n", b"\n\n"])
    path = tmp_path / "d.txt"
    path.write_bytes(rng.choice([b"", b"\xef\xbb\xbf"]) + b"\n".join(lines) + end)
    config = configure(kind)
    expected = slowly(path, config)
    for size in (1, 7, 64, 1 << 20):
        assert in_bulk(path, config, size) == expected


@pytest.mark.parametrize("kind", ["tsv", "table", "fasttext"])
@pytest.mark.parametrize("bad", range(6))
def test_a_fault_deep_in_the_file_has_its_line(kind: str, bad: int, tmp_path: Path) -> None:
    lines = [HEADER.get(kind, GOOD[kind][0])] + [GOOD[kind][0]] * 4999
    lines[4321] = BAD[kind][bad]
    path = tmp_path / "d.txt"
    path.write_bytes(b"\n".join(lines))
    config = configure(kind)
    expected = slowly(path, config)
    assert ":4322: " in expected
    assert in_bulk(path, config, 1000) == expected


@pytest.mark.parametrize("kind", ["tsv", "table", "fasttext", "jsonl", "csv"])
@pytest.mark.parametrize("seed", range(20))
def test_all_faults_are_reported_and_the_other_lines_are_read(kind: str, seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    faulty = [line for line in BAD[kind] if line != b'a,"x']  # an open quote swallows the rest
    lines = [(line, False) for line in rng.choices(GOOD[kind], k=200)]
    lines += [(line, True) for line in rng.choices(faulty, k=rng.randrange(1, 30))]
    rng.shuffle(lines)
    lines.insert(0, (HEADER.get(kind, GOOD[kind][0]), False))
    path = tmp_path / "d.txt"
    path.write_bytes(b"\n".join(line for line, _ in lines))
    starts = np.cumsum([1, *(line.count(b"\n") + 1 for line, _ in lines)]).tolist()
    expected = {start for start, (_, bad) in zip(starts, lines, strict=False) if bad}
    config = configure(kind)
    for size in (7, 500, 1 << 20):
        faults: list[DataError] = []
        chunks = read_chunks(io.BytesIO(path.read_bytes()).read, size)
        reader = RowReader(str(path), chunks, config, on_fault=faults.append)
        rows = [number for block in make_blocks(reader) for number in block.line_numbers]
        assert {fault.line_number for fault in faults} == expected
        assert len(faults) == len(expected)
        assert rows == sorted(set(starts[:-1]) - expected - ({1} if kind in HEADER else set()))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"words\n", b"label\ttext\n", b"\n \n{}"])
def test_a_file_without_examples_is_the_same_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "d"
    path.write_bytes(content)
    expected = slowly(path, DataConfig())
    assert isinstance(expected, str)
    assert [in_bulk(path, DataConfig(), size) for size in (1, 1 << 20)] == [expected] * 2


def test_labels_are_numbered_in_order_of_appearance() -> None:
    table = LabelTable()
    assert table.classify(Block([b"b", b"a", b"b"], [b""] * 3, range(1, 4))).tolist() == [0, 1, 0]
    classes = table.classify(Block(["다".encode(), b"a"], [b""] * 2, [7, 9]))
    assert (classes.tolist(), classes.dtype) == ([2, 1], np.int32)
    assert (table.labels, table.counts, table.first_lines) == (["b", "a", "다"], [2, 2, 1], [1, 2, 7])


@pytest.mark.parametrize("kind", ["tsv", "table", "fasttext"])
def test_plain_lines_are_split_in_bulk(kind: str, tmp_path: Path) -> None:
    lines = [line for line in GOOD[kind] if line not in (b"__label__b", b"__label__b x__label__y")]
    path = tmp_path / "d.txt"
    path.write_bytes(b"\n".join([HEADER.get(kind, lines[0]), *lines * 1000]))
    reader = RowReader(str(path), read_chunks(io.BytesIO(path.read_bytes()).read, 500), configure(kind))
    numbers = [block.line_numbers for block in make_blocks(reader)]
    assert sum(map(len, numbers)) == 1000 * len(lines) + (kind not in HEADER)
    assert {*map(type, numbers)} == {range}  # those of lines that are parsed one by one are lists


def classify(rows: Sequence[tuple[str, str]]) -> LabelTable:
    table = LabelTable()
    labels, texts = ([value.encode() for value in column] for column in zip(*rows, strict=True))
    table.classify(Block(labels, texts, range(1, len(rows) + 1)))
    return table


@pytest.mark.parametrize(
    ("rows", "is_swapped"),
    [
        ([(f"a text of some length {i}", "pos") for i in range(20)], True),
        ([(f"{i}", f"a text of some length {i}") for i in range(20)], True),
        ([(f"text number {i % 15}", "ab"[i % 2]) for i in range(20)], True),  # repeated texts in the label column
        ([(f"{i}", "text") for i in range(9)], False),  # too few to tell
        ([(f"l{i % 10}", f"text {i}") for i in range(20)], False),
        ([(f"a very long name of a label, no. {i % 3}", f"{i}") for i in range(20)], False),
    ],
)
def test_swapped_columns_are_noticed(rows: list[tuple[str, str]], is_swapped: bool) -> None:
    fault = classify(rows).find_swap()
    assert ("look swapped" in (fault or "")) == is_swapped


def test_a_first_label_that_occurs_once_may_be_a_header() -> None:
    rows = [("Category", "Message")] + [("ab"[i % 2], f"text {i}") for i in range(20)]
    (note,) = classify(rows).find_header("d.tsv", Layout("table"))
    assert note.startswith("d.tsv:1: label 'Category' occurs only here")
    assert classify(rows[1:]).find_header("d.tsv", Layout("table")) == []
    assert classify(rows[:5]).find_header("d.tsv", Layout("table")) == []
