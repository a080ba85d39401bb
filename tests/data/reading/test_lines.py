"""Lines as texts, and the texts of a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.config import DataConfig
from textrnn.data.reading.lines import read_lines, read_texts
from textrnn.errors import DataError


def read(*chunks: bytes) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    blocks = read_lines("a.txt", chunks, note=notes.append)
    return [text for lines, texts in blocks for text in texts if len(lines) == len(texts)], notes


@pytest.mark.parametrize(
    ("chunks", "texts", "notes"),
    [
        ((b"a\tb\r\n\nc",), ["a\tb", "", "c"], 0),
        (("\ufeffa\n\ufeffb".encode(),), ["a", "b"], 0),
        ((b"a\xff", b"b\n\xfe\xfe"), ["a\ufffd", "b", "\ufffd\ufffd"], 1),
        (("\ufffd".encode(),), ["\ufffd"], 0),  # it was lost before
        ((b"\n", b"__label__a one\n__label__b", b"two __label__c"), ["", "", "one", "", "two "], 1),
        ((b"one __label__a",), ["one __label__a"], 0),
    ],
)
def test_lines_are_texts(chunks: tuple[bytes, ...], texts: list[str], notes: int) -> None:
    found, told = read(*chunks)
    assert (found, len(told)) == (texts, notes)


def test_invalid_lines_are_counted() -> None:
    assert "2 lines" in read(b"\xff\nok\n\xff")[1][0]


def test_the_texts_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,body\n1,"a\nb"\n2\n')
    notes: list[str] = []
    config = DataConfig(text="body", on_error="skip")
    assert list(read_texts(str(path), config, note=notes.append)) == ["a b"]
    assert "1 bad record" in notes[0]


@pytest.mark.parametrize("content", [b'{"text": "a"}\n', b'[{"text": "a"}]', b"[\n"])
def test_lines_of_json_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match="--field"):
        list(read_texts(str(tmp_path / "a"), DataConfig(), note=print))
