"""Parsing in blocks gives the same examples as parsing line by line, and the same fault at the same line."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textrnn.config import DataConfig
from textrnn.data import blocks
from textrnn.data.blocks import Block, LabelTable, parse_blocks
from textrnn.data.formats import Example, read_examples
from textrnn.data.io import read_chunks
from textrnn.errors import DataError

Row = tuple[str, str, int]

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
    "fasttext": [b"__label__a one", b"__label__b", b"__label__b  two", "__label__가 나".encode(), b"__label__a x\r"],
    "jsonl": [b'{"label": "a", "text": "x\\ny"}', b'{"text": "z", "label": 3}'],
    "csv": [b"a,one", b'b,"two\nlines"', b'"c","x, y"'],
}
ODD = {
    "tsv": [b"", b"  ", b" \t ", "\u3000".encode(), "\u3000\t".encode(), b"b\t__label__x"],
    "fasttext": [b"", b" ", b"__label__a one __label__x two"],
    "jsonl": [b"", b"  "],
    "csv": [b"", b""],
}
BAD = {
    "tsv": [b"a one", b"\tx", b" \tx", b"a\rb\tx", b"a\t\xff", b"\xc3\tx", "\u3000\tx".encode()],
    "fasttext": [
        b"one",
        b"__label__ x",
        b"__label__a\tx",
        b"__label__a __label__b",
        b" __label__a x",
        b"__label__a \xff",
    ],
    "jsonl": [b"{", b"[]", b'{"label": "", "text": "x"}', b'{"label": "a"}', b"\xff"],
    "csv": [b"a", b"a,b,c", b",x", b'a,"x', b"a,\xff"],
}


def slowly(path: Path, config: DataConfig) -> list[Row] | str:
    try:
        return [(example.label, example.text, example.line_number) for example in read_examples(str(path), config)]
    except DataError as error:
        return str(error)


def in_bulk(path: Path, config: DataConfig, size: int) -> list[Row] | str:
    rows: list[Row] = []
    try:
        for block in parse_blocks(str(path), read_chunks(io.BytesIO(path.read_bytes()).read, size), config):
            assert len(block.labels) == len(block.texts) == len(block.line_numbers) > 0
            texts = [text.decode() for text in block.texts]
            rows += zip([label.decode() for label in block.labels], texts, block.line_numbers, strict=True)
    except DataError as error:
        return str(error)
    return rows


@pytest.mark.parametrize("kind", ["tsv", "fasttext", "jsonl", "csv"])
@pytest.mark.parametrize("seed", range(60))
def test_both_ways_give_the_same_examples(kind: str, seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    lines = rng.choices(GOOD[kind], k=rng.randrange(40))
    lines += rng.choices(ODD[kind], k=rng.randrange(4)) if seed % 3 else []
    rng.shuffle(lines)
    if seed % 4 == 0:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(BAD[kind]))
    if kind == "csv":
        lines.insert(0, b"label,text")
    if kind == "tsv" and seed % 5 == 0:
        lines.insert(0, b"label\ttext")
    end = rng.choice([b"", b"\n", b"\r\n", b"\n\n"])
    path = tmp_path / "d.txt"
    path.write_bytes(rng.choice([b"", b"\xef\xbb\xbf"]) + b"\n".join(lines) + end)
    config = DataConfig(format=kind)  # type: ignore[arg-type]
    expected = slowly(path, config)
    for size in (1, 7, 64, 1 << 20):
        assert in_bulk(path, config, size) == expected


@pytest.mark.parametrize("kind", ["tsv", "fasttext"])
@pytest.mark.parametrize("bad", range(6))
def test_a_fault_deep_in_the_file_has_its_line(kind: str, bad: int, tmp_path: Path) -> None:
    lines = [GOOD[kind][0]] * 5000
    lines[4321] = BAD[kind][bad]
    path = tmp_path / "d.txt"
    path.write_bytes(b"\n".join(lines))
    config = DataConfig(format=kind)  # type: ignore[arg-type]
    expected = slowly(path, config)
    assert ":4322: " in expected
    assert in_bulk(path, config, 1000) == expected


@pytest.mark.parametrize("kind", ["tsv", "fasttext", "jsonl", "csv"])
@pytest.mark.parametrize("seed", range(20))
def test_all_faults_are_reported_and_the_other_lines_are_read(kind: str, seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    faulty = [line for line in BAD[kind] if line != b'a,"x']  # an open quote swallows the rest
    lines = [(line, False) for line in rng.choices(GOOD[kind], k=200)]
    lines += [(line, True) for line in rng.choices(faulty, k=rng.randrange(1, 30))]
    rng.shuffle(lines)
    lines.insert(0, (b"label,text", False) if kind == "csv" else (GOOD[kind][0], False))
    path = tmp_path / "d.txt"
    path.write_bytes(b"\n".join(line for line, _ in lines))
    starts = np.cumsum([1, *(line.count(b"\n") + 1 for line, _ in lines)]).tolist()
    expected = {start for start, (_, bad) in zip(starts, lines, strict=False) if bad}
    config = DataConfig(format=kind)  # type: ignore[arg-type]
    for size in (7, 500, 1 << 20):
        faults: list[DataError] = []
        chunks = read_chunks(io.BytesIO(path.read_bytes()).read, size)
        rows = [
            number
            for block in parse_blocks(str(path), chunks, config, on_fault=faults.append)
            for number in block.line_numbers
        ]
        assert {fault.line_number for fault in faults} == expected
        assert len(faults) == len(expected)
        assert rows == sorted(set(starts[:-1]) - expected - ({1} if kind == "csv" else set()))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"words\n", "a\tx\n".encode("utf-16"), b"\n \n{}"])
def test_a_file_without_examples_is_the_same_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "d"
    path.write_bytes(content)
    expected = slowly(path, DataConfig())
    assert isinstance(expected, str)
    assert [in_bulk(path, DataConfig(), size) for size in (1, 1 << 20)] == [expected] * 2


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"a", b"a\n", b"a\n\nb", b"\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbfa\nb\r\n"]
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_chunks_hold_whole_lines(content: bytes, size: int) -> None:
    chunks = list(read_chunks(io.BytesIO(content).read, size))
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    assert [line for chunk in chunks for line in chunk.split(b"\n")] == lines


def test_labels_are_numbered_in_order_of_appearance() -> None:
    table = LabelTable()
    assert table.classify(Block([b"b", b"a", b"b"], [b""] * 3, range(1, 4))).tolist() == [0, 1, 0]
    classes = table.classify(Block(["다".encode(), b"a"], [b""] * 2, [7, 9]))
    assert (classes.tolist(), classes.dtype) == ([2, 1], np.int32)
    assert (table.labels, table.counts, table.first_lines) == (["b", "a", "다"], [2, 2, 1], [1, 2, 7])


@pytest.mark.parametrize("kind", ["tsv", "fasttext"])
def test_only_the_first_lines_are_parsed_one_by_one(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = GOOD[kind]
    path = tmp_path / "d.txt"
    path.write_bytes(b"\n".join(lines * 1000))
    parsed: list[int] = []
    parse = blocks.parse_lines

    def count(path: str, lines: list[bytes], *arguments: Any, **options: Any) -> Iterator[Example]:
        parsed.append(len(lines))
        return parse(path, lines, *arguments, **options)

    monkeypatch.setattr(blocks, "parse_lines", count)
    assert len(in_bulk(path, DataConfig(), 500)) == 1000 * len(lines)
    assert 0 < sum(parsed) < 100
