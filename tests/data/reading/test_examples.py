"""Labelled text of files and standard input as a list."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from textrnn.config import DataConfig
from textrnn.data.reading.examples import Example, read_examples
from textrnn.errors import DataError


def read(path: Path, content: bytes, **options: object) -> list[tuple[str, str, int]]:
    path.write_bytes(content)
    examples = read_examples(str(path), DataConfig.model_validate(options))
    return [(example.label, example.text, example.line_number) for example in examples]


def test_labels_are_joined(tmp_path: Path) -> None:
    content = gzip.compress(b"__label__b __label__a one\n\ntwo\n")
    assert read(tmp_path / "d.gz", content, multi_label=True) == [("b\ta", "one", 1), ("", "two", 3)]


@pytest.mark.parametrize("content", [b"label\ttext\n", b"label,text\n\n", b"[]", b"\n \n", b""])
def test_a_file_without_examples_is_an_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="labelled text"):
        read(tmp_path / "d.txt", content)


@pytest.mark.parametrize("encoding", ["cp949", "utf-16", "utf-8-sig", "utf-16-le", "gb18030"])
def test_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    rows = [("환불", "주문한 책이 아직 안 왔어요", 2), ("문의", "환불 부탁드립니다", 3)]
    content = "label,text\n" + "".join(f"{label},{text}\n" for label, text, _ in rows)
    assert read(tmp_path / "d.csv", content.encode(encoding), encoding=encoding) == rows
    if encoding != "gb18030":
        notes: list[str] = []
        read_examples(str(tmp_path / "d.csv"), DataConfig(), note=notes.append)
        assert len(notes) == (encoding != "utf-8-sig")
        assert read(tmp_path / "d.csv", content.encode(encoding)) == rows


def test_notes_and_rejects(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("label;text\na;x\nb\nlabel;text\nb;y\n")
    notes: list[str] = []
    kept: list[bytes] = []
    examples = read_examples(str(path), DataConfig(on_error="skip"), note=notes.append, rejects=kept.append)
    assert [example.line_number for example in examples] == [2, 5]
    assert b"".join(kept) == b"label;text\nb\n"
    assert [note.partition("d.csv: ")[2].split(":")[0] for note in notes] == [
        "fields are divided by ';'",
        "1 repeated header left out",
        "1 bad record skipped",
    ]


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
