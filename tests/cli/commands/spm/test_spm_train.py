"""``textrnn spm-train``: files, reports and faults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sentencepiece

from command import Run


def test_the_files_are_read_by_sentencepiece(invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfthe kettle boils\r\nthe tea is late\r\n" + b"x" * 5000 + b"\r\n")
    done = invoke("spm-train", "--input", "a.txt")
    assert done.returncode == 0
    assert done.stdout == b""
    spm = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.uni.model"))
    message = done.stderr.decode()
    assert "3 lines read, 1 skipped as longer than 4,192 bytes" in message
    assert f"{spm.vocab_size()} unigram pieces" in message
    assert "LOG(INFO)" not in message
    pieces = [line.split("\t")[0] for line in (tmp_path / "m.uni.vocab").read_text().split("\n")[:-1]]
    assert pieces == [spm.id_to_piece(i) for i in range(spm.vocab_size())]
    assert not any("\ufeff" in piece or "\r" in piece for piece in pieces)


def test_earlier_files_are_kept(invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three\n")
    (tmp_path / "b.txt").write_text("four five six\n")
    invoke("spm-train", "--input", "a.txt")
    first = (tmp_path / "m.uni.model").read_bytes()
    invoke("spm-train", "--input", "a.txt")
    assert not (tmp_path / "m.uni.model.1").exists()  # the bytes are the same
    done = invoke("spm-train", "--input", "b.txt")
    assert (tmp_path / "m.uni.model.1").read_bytes() == first
    assert b"an earlier m.uni.model is kept as m.uni.model.1" in done.stderr
    invoke("spm-train", "--input", "a.txt", "--overwrite")
    assert (tmp_path / "m.uni.model").read_bytes() == first
    assert not (tmp_path / "m.uni.model.2").exists()


def test_what_was_skipped_is_reported(invoke: Run) -> None:
    done = invoke("spm-train", "--input", "-", "--input-sentence-size", 2, stdin=b"one two\nnul \0\nthree four\nfive\n")
    assert b"textrnn: 1 line skipped: SentencePiece cannot read NUL or U+2585\n" in done.stderr
    assert b"textrnn: 2 of 3 lines used; --input-sentence-size 0 uses all\n" in done.stderr
    assert re.search(
        rb"textrnn: the text gives \d+ unigram pieces, not 8,000; --model-type bpe gives more", done.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("", 2, "--input: names no file; name one or more"),
        ("--input ,", 2, "--input: names no file; name one or more"),
        ("--input a.txt --model-type wordpiece", 2, "'--model-type'"),
        ("--input a.txt --character-coverage 3", 2, "'--character-coverage'"),
        ("--input a.txt --model-prefix p", 2, "--model-prefix p: p.model is a folder; choose another prefix"),
        ("--input a.txt --model-prefix p/..", 2, "--model-prefix p/..: p/...model is a folder; choose another prefix"),
        ("--input a.txt --model-prefix=", 2, "--model-prefix '': has no file name"),
        ("--input a.txt --set fly", 2, "--set fly: write it as KEY=VALUE, as in --set split_digits=true"),
        ("--input a.txt --vocab-size 9000", 1, "a.txt: too small for 9,000 pieces; use --vocab-size "),
    ],
)
def test_faults(arguments: str, status: int, message: str, invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a sentence to train on\nand one more sentence\n" * 5)
    (tmp_path / "p.model").mkdir()
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "...model").mkdir()
    before = sorted(tmp_path.iterdir())
    done = invoke("spm-train", *arguments.split())
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (status, b"")
    assert message in line
    assert sorted(tmp_path.iterdir()) == before


TEXT = b"".join(b"one two three %d\n" % number for number in range(40))


def test_files_are_named_in_several_ways(invoke: Run, tmp_path: Path) -> None:
    for name in ("p1.txt", "p2.txt", "a,b.txt"):
        (tmp_path / name).write_bytes(TEXT)
    shell = ("--input", "p1.txt", "p2.txt")  # of --input p*.txt
    for arguments, lines in (
        (("--input", "p*.txt"), 80),
        (shell, 80),
        (("--input", "p1.txt,p2.txt"), 80),
        (("a,b.txt",), 40),
    ):
        done = invoke("spm-train", *arguments, "--overwrite")
        assert done.returncode == 0, done.stderr.decode()
        assert done.stderr.startswith(b"textrnn: %d lines read" % lines)


def test_a_column_of_a_table(invoke: Run, tmp_path: Path) -> None:
    table = b"id;text\n" + b"".join(b'%d;"one two;\nthree"\n' % number for number in range(40)) + b"41\n"
    (tmp_path / "a.csv").write_bytes(table)
    done = invoke("spm-train", "--input", "a.csv", "--field", "text", "--on-error", "skip")
    assert done.returncode == 0, done.stderr.decode()
    assert b"40 lines read" in done.stderr
    assert b"1 bad record skipped" in done.stderr
    assert invoke("spm-train", "--input", "a.csv", "--field", "text").returncode == 1


def test_lines_with_invalid_bytes_are_counted(invoke: Run) -> None:
    done = invoke("spm-train", "--input", "-", stdin=TEXT * 3 + b"caf\xe9\n")
    assert done.returncode == 0
    assert b"1 line has bytes that are invalid" in done.stderr


def test_long_lines_and_symbols(invoke: Run, tmp_path: Path) -> None:
    arguments = ("--user-defined-symbols", ",", "--user-defined-symbols", "<a>,<b>", "--max-sentence-length", 20)
    done = invoke("spm-train", "--input", "-", *arguments, stdin=TEXT + b"a line that is far too long\n")
    assert done.returncode == 0, done.stderr.decode()
    assert b"1 skipped as longer than 20 bytes (--max-sentence-length)" in done.stderr
    pieces = [line.split("\t")[0] for line in (tmp_path / "m.uni.vocab").read_text(encoding="utf-8").splitlines()]
    assert {",", "<a>", "<b>"} <= set(pieces)
